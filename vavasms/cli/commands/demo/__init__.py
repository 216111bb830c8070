"""`demo`: the main job with no account. What needs extras is in the modules beside this one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.commands.sandbox import need_sandbox
from vavasms.cli.params import JsonFlag
from vavasms.errors import InvalidInputError

_MAX_ROWS = 1_000_000
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
    from vavasms.cli.commands.demo import report

    if not 1 <= rows <= _MAX_ROWS:
        raise InvalidInputError(report.WRONG_ROWS.format(most=_MAX_ROWS))
    need_sandbox()
    if workers is None:
        from vavasms.cli.commands.demo.single import run_single

        return run_single(rows, as_json=as_json)
    if workers not in _WORKERS:
        raise InvalidInputError(report.WRONG_WORKERS.format(fewest=_WORKERS[0], most=_WORKERS[-1]))
    from vavasms.cli.commands.demo.processes import need_database

    need_database()
    from vavasms.cli.commands.demo.workers import run_shared

    return run_shared(rows, workers, as_json=as_json)
