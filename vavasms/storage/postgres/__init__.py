"""PostgreSQL: connections and schemas."""
