"""Contact lists: found in files of any make, read row by row, and judged number by number."""

from vavasms.campaigns.planning.contacts.reader import Contact, ContactList, read_contacts
from vavasms.campaigns.planning.contacts.validation import Fate, Judge, Verdict

__all__ = ["Contact", "ContactList", "Fate", "Judge", "Verdict", "read_contacts"]
