"""The SQL of the seen stores: a folder of migrations and a file of named queries for each engine."""
