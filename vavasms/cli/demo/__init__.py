"""`demo`: the main job with no account. What needs extras is in the modules beside this one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.options import JsonFlag
from vavasms.cli.sandbox import need_sandbox
from vavasms.errors import InvalidInputError

_MOST_ROWS = 1_000_000
#: One of them is killed, and somebody has to go on.
_WORKERS = range(2, 17)


def demo(
    *,
    rows: Annotated[int, Parameter(metavar="N", help="How long the list of contacts is.")] = 10_000,
    workers: Annotated[
        int | None,
        Parameter(metavar="N", show_default=False, help="Share the work among N processes; one is killed."),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Clean a messy list of contacts, send it to a sandbox, prove the account."""
    if not 1 <= rows <= _MOST_ROWS:
        raise InvalidInputError(f"The list has 1 to {_MOST_ROWS:,} rows; nothing was sent.")
    need_sandbox()
    if workers is not None:
        return _play_workers(rows, workers, as_json=as_json)
    from vavasms.cli.demo.play import play

    return play(rows, as_json=as_json)


def _play_workers(rows: int, workers: int, *, as_json: bool) -> int:
    if workers not in _WORKERS:
        raise InvalidInputError(
            f"The demo takes {_WORKERS.start} to {_WORKERS.stop - 1} workers, as one of them is killed; "
            "nothing was sent."
        )
    from vavasms.cli.demo.database import need_database

    need_database()
    from vavasms.cli.demo.together import play_workers

    return play_workers(rows, workers, as_json=as_json)
