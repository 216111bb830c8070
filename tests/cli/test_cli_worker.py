"""What a worker says, and how it ends where it cannot go on; at work it is in `test_cli_postgres`."""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import pytest

from vavasms.cli.commands.worker import ProgressPrinter, warn, warnings_shown
from vavasms.cli.signals import run_until_signalled
from vavasms.errors import LedgerError
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.states import CampaignState


@pytest.mark.parametrize(("reason", "named"), [(None, "cancelled: 1 accepted"), ("by\x1b hand", "(by hand)")])
def test_a_worker_says_what_became_of_a_campaign_and_what_it_goes_on_after(
    capsys: pytest.CaptureFixture[str], reason: str | None, named: str
) -> None:
    counts = dict.fromkeys(("queued", "sending", "rejected", "not_sent", "unknown", "segments"), 0)
    state = CampaignState.CANCELLED
    status = CampaignStatus(
        id="3f9a1c07", state=state, reason=reason, recipients=1, accepted=1, batches=1, **counts
    )
    with warnings_shown():
        ProgressPrinter(as_json=False).end(status)
        logging.getLogger("vavasms").warning("The ledger is away.")
    logging.getLogger("vavasms").warning("It is back.")
    printed = capsys.readouterr()
    assert printed.out.startswith("The campaign 3f9a1c07 is cancelled")
    assert named in printed.out
    assert "\x1b" not in printed.out
    assert printed.err == "The ledger is away.\n"


def test_a_worker_goes_on_where_nobody_reads_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed, monkeypatch.context() as patch:  # noqa: PTH123  a descriptor
        patch.setattr(sys, "stdout", closed)
        patch.setattr(sys, "stderr", closed)
        ProgressPrinter(as_json=False).begin(16)
        warn("The ledger is away.")
        os.dup2(os.open(os.devnull, os.O_WRONLY), closed.fileno())


async def fail() -> None:
    raise LedgerError("The ledger is not at hand.")


async def run_failing() -> None:
    await run_until_signalled(fail, lambda: None, note=warn, sentences=("", ""))


@pytest.mark.parametrize("threads", [0, 1])
def test_what_a_worker_fails_of_is_raised_by_itself(threads: int) -> None:
    work = partial(anyio.run, run_failing)
    with pytest.raises(LedgerError, match="not at hand"), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result() if threads else work()
