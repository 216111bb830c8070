"""One file a command, or a small group."""
