"""The database that the tests of a process share."""

from __future__ import annotations

import psycopg

#: All tables of ours, in whatever schema, but those that say which version the others are of.
_OURS = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE (schemaname LIKE 'vavasms%' OR tablename LIKE 'vavasms%')
AND tablename NOT IN ('schema_version', 'jobs_step', 'procrastinate_version')
"""


def empty(url: str) -> None:
    """Delete what was written into the tables, whoever wrote it; they themselves stay as they are."""
    # procrastinate's triggers look its names up.
    with psycopg.connect(url, autocommit=True, options="-c search_path=vavasms_jobs") as connection:
        tables = [table for (table,) in connection.execute(_OURS).fetchall()]
        looks = " UNION ALL ".join(
            f"(SELECT '{table}' WHERE EXISTS (SELECT FROM {table}))" for table in tables
        )
        full = [table for (table,) in connection.execute(looks.encode()).fetchall()] if tables else []
        if full:
            connection.execute(f"TRUNCATE {', '.join(full)} RESTART IDENTITY CASCADE".encode())


def drop(url: str) -> None:
    """Drop our schemas."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS vavasms, vavasms_jobs, vavasms_inbound CASCADE")
