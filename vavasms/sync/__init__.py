"""The same names without await."""
