"""Single sends that survive a retry: by a key, in a ledger."""
