"""`demo`: the main job with no account. What needs extras is in the modules beside this one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.commands.sandbox import need_sandbox
from vavasms.cli.params import JsonFlag
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_MAX_ROWS = 1_000_000
#: One of them is killed, and somebody has to go on.
_WORKERS = range(2, 17)


def demo(
    *,
    rows: Annotated[int, Parameter(metavar="N", help=_("How long the list of contacts is."))] = 10_000,
    workers: Annotated[
        int | None,
        Parameter(
            metavar="N", show_default=False, help=_("Share the work among N processes; one is killed.")
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Clean a messy list of contacts, send it to a sandbox, prove the account."""
    if not 1 <= rows <= _MAX_ROWS:
        raise InvalidInputError(
            _("The list has 1 to {most} rows; nothing was sent.", most=_MAX_ROWS), error_code="usage.demo"
        )
    need_sandbox()
    if workers is None:
        from vavasms.cli.commands.demo.single import run_single

        return run_single(rows, as_json=as_json)
    if workers not in _WORKERS:
        raise InvalidInputError(
            _(
                "The demo takes {fewest} to {most} workers, as one of them is killed; nothing was sent.",
                fewest=_WORKERS[0],
                most=_WORKERS[-1],
            ),
            error_code="usage.demo",
        )
    from vavasms.cli.commands.demo.processes import need_database

    need_database()
    from vavasms.cli.commands.demo.workers import run_shared

    return run_shared(rows, workers, as_json=as_json)
