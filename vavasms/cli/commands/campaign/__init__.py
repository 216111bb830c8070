"""The `campaign` commands: plan, send, and look after what was sent."""
