"""`demo`: the main job with no account. What needs the sandbox's extra is in the modules beside this one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.options import JsonFlag
from vavasms.cli.sandbox import need_sandbox
from vavasms.errors import InvalidInputError

_MOST_ROWS = 1_000_000


def demo(
    *,
    rows: Annotated[int, Parameter(metavar="N", help="How long the list of contacts is.")] = 10_000,
    as_json: JsonFlag = False,
) -> int:
    """Clean and send a messy list of contacts to a sandbox, and prove the account."""
    if not 1 <= rows <= _MOST_ROWS:
        raise InvalidInputError(f"The list has 1 to {_MOST_ROWS:,} rows; nothing was sent.")
    need_sandbox()
    from vavasms.cli.demo.play import play

    return play(rows, as_json=as_json)
