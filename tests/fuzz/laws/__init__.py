"""The laws, a module each: what holds whatever the bytes are."""
