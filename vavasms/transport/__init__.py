"""The thin edge: what leaves this machine, what comes back, and what that means for a send."""
