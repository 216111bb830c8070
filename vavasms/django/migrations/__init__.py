"""The tables that the app has in the database of the project."""
