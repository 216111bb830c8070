"""SQLite files: their connections, locks and schemas."""
