"""`sandbox`: the command line's side; what needs the extra is in `sandbox_serve`."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.params import JsonFlag, flag
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.profile.file import read_profile
from vavasms.profile.models import UNKNOWN

_PORTS = range(65536)
_SHARE = re.compile(r"0?\.[0-9]{1,4}|0|1|1\.0", re.ASCII)


def sandbox(
    *,
    port: Annotated[int, Parameter(metavar="PORT", help=_("Where to listen; 0 takes any free port."))] = 8425,
    inbound_url: Annotated[
        str | None, Parameter(metavar="URL", help=_("Where replies written in the inbox page are posted to."))
    ] = None,
    allow_remote_inbound: Annotated[bool, flag(_("Let that URL be on another machine."))] = False,
    undelivered: Annotated[
        tuple[str, ...],
        Parameter(
            metavar=_("PREFIX=SHARE"),
            show_default=False,
            negative=(),
            help=_("The share of the numbers of a prefix that nothing reaches, such as 22507=0.4."),
        ),
    ] = (),
    profile: Annotated[
        Path | None,
        Parameter(
            metavar=_("FILE"), help=_("Play the gateway of this profile, such as `vavasms probe` writes one.")
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Stand in for the gateway on this machine, until Ctrl-C."""
    if port not in _PORTS:
        raise InvalidInputError(
            _("A port is a number from 0 to {most}.", most=str(_PORTS[-1])), error_code="sandbox.port"
        )
    need_sandbox()
    from vavasms.cli.commands.sandbox_serve import serve

    return serve(
        port,
        as_json=as_json,
        inbound_url=inbound_url,
        allow_remote=allow_remote_inbound,
        failing=dict(map(_read_share, undelivered)),
        profile=UNKNOWN if profile is None else read_profile(profile),
    )


def _read_share(text: str) -> tuple[str, float]:
    """Read the share of a prefix, `22507=0.4`. Raises `InvalidInputError`."""
    prefix, _equals, share = text.partition("=")
    if prefix.isdecimal() and _SHARE.fullmatch(share):
        return prefix, float(share)
    raise InvalidInputError(
        _(
            "--undelivered takes a prefix and a share from 0 to 1, such as 22507=0.4, not {text}.",
            text=repr(text),
        ),
        error_code="usage.value",
        outcome=None,
    )


def need_sandbox() -> None:
    """Raise `ConfigurationError` where the extra that the sandbox needs is not installed."""
    if any(find_spec(name) is None for name in ("jinja2", "starlette", "uvicorn")):
        raise misconfigured(_("The sandbox needs its extra: pip install 'vavasms[sandbox]'."), "config.extra")


MAGIC_HELP = _("""Magic numbers, +2250700000 and three digits, always come to the same end:

901 902 903 920 999: refused with that code.

913 914 915: its one-time code never passes: wrong, expired, not found.

200 302 408 429 500 503: that HTTP answer; nothing is accepted.

104 110 204 206 207 444 504: accepted, then a reset, 90 seconds of silence,
an empty body, a cut one, an id too few, a close, HTTP 504.

100 404 709: accepted; its status stays pending, is failed, is unknown.""")
