"""The command line shows nothing of what a gateway repeats of a request."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.echoes import CODE, NUMBER, TEXT, WAYS, left_of
from vavasms.sandbox import Fault, FaultKind, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("account")

COMMANDS = {
    NUMBER: ("send", NUMBER, "--message", TEXT),
    TEXT: ("send", NUMBER, "--message", TEXT),
    CODE: ("otp", "verify", NUMBER, CODE),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_spelling_of_a_secret_is_printed(way: str, inside: Run, server: SandboxServer) -> None:
    for secret, command in COMMANDS.items():
        echo = " ".join(WAYS[way](secret).split())[:180]
        body = json.dumps({"code": 950, "message": "NO", "description": f"Refus : {echo}"})
        server.faults.script(Fault(kind=FaultKind.RAW, body=body.encode()))
        finished = inside(*command)
        assert finished.returncode != 0
        assert "950" in finished.stderr
        # It breaks its lines where the terminal ends.
        for printed in (
            finished.stdout,
            finished.stderr,
            " ".join((finished.stdout + finished.stderr).split()),
        ):
            assert left_of(echo, printed) == []
