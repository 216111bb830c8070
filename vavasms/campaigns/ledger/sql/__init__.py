"""The SQL of the ledgers: a folder of migrations and a file of named queries for each engine."""
