"""`desk`: the command line's side; what needs the extra is in `desk_serve`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.ledger_option import LedgerPath, find_ledger
from vavasms.cli.params import JsonFlag, flag
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

_PORTS = range(65536)
#: What the extra brings.
_NEEDED = ("jinja2", "markdown_it", "starlette", "uvicorn", "xlsxwriter")


def desk(
    *,
    port: Annotated[int, Parameter(metavar="PORT", help=_("Where to listen; 0 takes any free port."))] = 8426,
    demo: Annotated[
        bool, flag(_("Try it on a sandbox, with a list to drop: no account is needed, no phone rings."))
    ] = False,
    ledger: LedgerPath = None,
    as_json: JsonFlag = False,
) -> int:
    """Run campaigns from a browser on this machine, until Ctrl-C."""
    if port not in _PORTS:
        raise InvalidInputError(
            _("A port is a number from 0 to {most}.", most=str(_PORTS[-1])),
            error_code="desk.port",
            outcome=None,
        )
    if demo and ledger is not None:
        raise InvalidInputError(
            _("--demo has a ledger of its own, which goes with it: leave --ledger out."),
            error_code="usage.options",
            outcome=None,
        )
    if any(find_spec(name) is None for name in _NEEDED):
        raise misconfigured(_("The desk needs its extra: pip install 'vavasms[desk]'."), "config.extra")
    from vavasms.cli.commands.desk_serve import serve, serve_demo

    return serve_demo(port, as_json=as_json) if demo else serve(find_ledger(ledger), port, as_json=as_json)
