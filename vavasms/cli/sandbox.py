"""`sandbox`: the command line's side; what needs the extra is in `serving`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from vavasms.cli.options import JsonFlag
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError

_PORTS = range(65536)


def sandbox(
    *,
    port: Annotated[int, Parameter(metavar="PORT", help="Where to listen; 0 takes any free port.")] = 8425,
    as_json: JsonFlag = False,
) -> int:
    """Stand in for the gateway on this machine, until Ctrl-C."""
    if port not in _PORTS:
        raise InvalidInputError("A port is a number from 0 to 65535.")
    need_sandbox()
    from vavasms.cli.serving import serve

    return serve(port, as_json=as_json)


def need_sandbox() -> None:
    """Raise `ConfigurationError` where the extra that the sandbox needs is not installed."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise misconfigured("The sandbox needs its extra: pip install 'vavasms[sandbox]'.")
