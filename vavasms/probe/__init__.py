"""Settle, with a few SMS to the owner's own phone, what the vendor does not document."""
