"""Memory of a bulk send, measured in a process of its own: flat, however many recipients there are."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")

SCRIPT = """
import sys
import anyio
from vavasms import AsyncVavaSMS

async def main(count, dedupe):
    async with AsyncVavaSMS("{username}", "{password}", sender_id="ACME", base_url="{url}") as sms:
        rows = (f"2250{{710_000_000 + index}}" for index in range(count))
        async with sms.stream_bulk(rows, "Bonjour", dedupe=dedupe) as results:
            async for result in results:
                pass
        assert results.report.accepted == count, results.report

anyio.run(main, int(sys.argv[1]), sys.argv[2] == "dedupe")
# Not getrusage: its maximum survives exec, and is that of the process that started this one.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_kib(sandbox: SandboxServer, count: int, dedupe: str) -> int:
    sandbox.gateway.journal.clear()
    sandbox.gateway.set_balance(Decimal(10**9))
    gateway = sandbox.gateway
    source = SCRIPT.format(username=gateway.username, password=gateway.password, url=sandbox.url)
    command = [sys.executable, "-c", source, str(count), dedupe]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert sandbox.gateway.journal.recipients == count
    return int(done.stdout)


@pytest.mark.parametrize(("dedupe", "limit_mib"), [("keep", 8), ("dedupe", 12)])
@pytest.mark.slow
def test_memory_stays_flat_in_the_short_form(sandbox: SandboxServer, dedupe: str, limit_mib: int) -> None:
    growth = peak_kib(sandbox, 60_000, dedupe) - peak_kib(sandbox, 10_000, dedupe)
    assert growth < limit_mib * 1024


@pytest.mark.full
@pytest.mark.parametrize(("dedupe", "limit_mib"), [("keep", 40), ("dedupe", 120)])
def test_a_million_recipients_stay_within_the_promised_memory(
    sandbox: SandboxServer, dedupe: str, limit_mib: int
) -> None:
    growth = peak_kib(sandbox, 1_000_000, dedupe) - peak_kib(sandbox, 10_000, dedupe)
    print(f"peak memory grows {growth / 1024:.1f} MiB ({dedupe})")
    assert growth < limit_mib * 1024
