"""PostgreSQL's."""
