"""Where campaigns are kept: one port, several implementations."""
