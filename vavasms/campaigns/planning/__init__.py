"""From a contact list and a template to a plan."""
