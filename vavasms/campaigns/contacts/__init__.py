"""Contact lists: found in files of any make, read row by row, and judged number by number."""

from vavasms.campaigns.contacts.judging import Fate, Judge, Verdict
from vavasms.campaigns.contacts.reader import Contact, ContactList, read_contacts

__all__ = ["Contact", "ContactList", "Fate", "Judge", "Verdict", "read_contacts"]
