"""What a plain script, with no logging set up, prints while the gateway falters: nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vavasms.sandbox import Fault, FaultKind, SandboxServer

SCRIPT = """
import sys
from vavasms import VavaSMS

with VavaSMS(*sys.argv[2:], sender_id="SANDBOX", base_url=sys.argv[1]) as sms:
    sms.balance()
    sms.send("2250700300001", "Bonjour")
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=503),
        Fault(kind=FaultKind.RATE_LIMIT),
        Fault(kind=FaultKind.CLOSE_AFTER_READING),
    ],
    ids=["503", "429", "cut"],
)
def test_a_plain_script_says_nothing_while_a_read_is_retried(sandbox: SandboxServer, fault: Fault) -> None:
    sandbox.faults.script(fault)
    account = sandbox.gateway.username, sandbox.gateway.password
    command = [sys.executable, "-c", SCRIPT, sandbox.url, *account]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("done\n", "", 0)
    assert sandbox.gateway.journal.counts() == {"2250700300001": 1}
