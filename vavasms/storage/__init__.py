"""What everything that is kept on disk shares: files, migrations, named queries, transactions."""
