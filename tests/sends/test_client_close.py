"""The end of a client with a ledger: what is under way comes to its outcome, and nothing goes on after it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.campaigns.staging import accepted, connect, phones, stall
from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    Lot,
    OtpLimits,
    Outcome,
    OutcomeUnknownError,
    SqliteLedger,
    Timeouts,
)
from vavasms.errors import LedgerError
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.sends import SqliteSends
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer
from vavasms.sends import client as client_module
from vavasms.storage.sqlite import locks

TEXT = "Bonjour"
ONE, TWO, THREE = phones(3)


def states(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT key, state FROM send"))


@pytest.mark.anyio
@pytest.mark.parametrize("keys", [("k0", "k1", "k2"), (None, None, None)], ids=["keyed", "plain"])
async def test_a_client_that_is_closed_brings_what_is_under_way_to_its_outcome(
    sandbox: SandboxServer, tmp_path: Path, keys: tuple[str | None, ...]
) -> None:
    stall(sandbox, 0.3)
    found: list[Lot] = []
    refused: list[ConfigurationError] = []
    sms = connect(sandbox, ledger=tmp_path / "sms.db", max_connections=1)

    async def send(key: str | None, to: str) -> None:
        try:
            found.append(await sms.send(to, TEXT, idempotency_key=key))
        except ConfigurationError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for key, to in zip(keys, (ONE, TWO, THREE), strict=True):
            tasks.start_soon(send, key, to)
        await accepted(sandbox, 1)
        await sms.aclose()
        # Nothing of it is under way any more.
        assert len(found) == 1
        # These had no connection yet.
        codes = [(error.error_code, error.outcome) for error in refused]
        assert codes == [("config.closed", Outcome.NOT_SENT)] * 2
    assert len(sandbox.gateway.journal) == 1
    if keys[0]:
        assert sorted(states(tmp_path / "sms.db").values()) == ["accepted", "cancelled", "cancelled"]
    await sms.aclose()


@pytest.mark.anyio
async def test_whoever_is_cancelled_as_it_closes_waits_no_more(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    stall(sandbox, 30.0)
    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.5) as scope:
            async with connect(sandbox, ledger=tmp_path / "sms.db") as sms:
                tasks.start_soon(_send, sms, "k0")
                await accepted(sandbox, 1)
        assert scope.cancelled_caught
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_what_a_client_could_not_write_to_its_end_is_unknown_in_the_same_process(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody will write it: in progress it would be for as long as the process lives."""
    monkeypatch.setattr("vavasms.ledger.pending_writes.DRAIN_SECONDS", 0.1)

    async def refuse(*_claim: object, **_times: object) -> bool:
        raise LedgerError("The database did not take it (database or disk is full).")

    with monkeypatch.context() as full:
        full.setattr(SqliteSends, "settle", refuse)
        async with connect(sandbox, ledger=tmp_path / "sms.db") as sms:
            assert (await sms.send(ONE, TEXT, idempotency_key="k0")).message_ids
    async with connect(sandbox, ledger=tmp_path / "sms.db") as sms:
        with pytest.raises(OutcomeUnknownError):
            await sms.send(ONE, TEXT, idempotency_key="k0")
    assert len(sandbox.gateway.journal) == 1


@pytest.mark.anyio
async def test_a_closed_client_opens_its_ledger_for_nobody(sandbox: SandboxServer, tmp_path: Path) -> None:
    file = tmp_path / "sms.db"
    sms = connect(sandbox, ledger=file, otp_limits=OtpLimits())
    await sms.send(ONE, TEXT, idempotency_key="k0")
    await sms.aclose()
    for call in (
        lambda: sms.send(ONE, TEXT, idempotency_key="k0"),
        lambda: sms.send(ONE, TEXT, idempotency_key="k1"),
        lambda: sms.enqueue(ONE, TEXT, idempotency_key="k2"),
        lambda: sms.sent("k0"),
        lambda: sms.resolve("k0", sent=True),
        lambda: sms.send_otp(ONE),
    ):
        with pytest.raises(ConfigurationError) as raised:
            await call()
        assert raised.value.error_code == "config.closed"
    assert states(file) == {"k0": "accepted"}
    assert not [handle for handle in locks._HANDLES.values() if handle.path == file.resolve()]


def test_a_ledger_that_nobody_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    """As that of an event loop that has ended: a client makes another one in the next."""
    file = tmp_path / "sms.db"

    async def send(key: str) -> str:
        ledger = await SqliteLedger.open(file)
        new = NewSend(
            account="ops", key=key, recipients=(Msisdn(ONE),), sender_id="ACME", segments=1, text=TEXT
        )
        claim = await ledger.sends.begin(new, token=key, now=1.0)
        assert isinstance(claim, SendClaim)
        if key != "left":
            await ledger.sends.settle(claim, BatchEvent.ACCEPT, BatchRecord(lot_id="L"), now=2.0)
        found = await ledger.sends.find("ops", "left")
        return "" if found is None else found.state.value

    for key in ("k0", "k1", "k2", "left"):
        asyncio.run(send(key))
    gc.collect()
    # Whoever could have settled it is gone, though the process lives.
    assert asyncio.run(_reap(file)) == 1
    [handle] = [handle for handle in locks._HANDLES.values() if handle.path == file.resolve()]
    gc.collect()
    assert asyncio.run(_reap(file)) == 0
    assert (handle.users, len(handle._members)) <= (2, 1)
    assert states(file) == {"k0": "accepted", "k1": "accepted", "k2": "accepted", "left": "unknown"}


async def _reap(file: Path) -> int:
    ledger = await SqliteLedger.open(file)
    return await ledger.sends.reap(now=3.0)


async def _send(sms: AsyncVavaSMS, key: str) -> None:
    await sms.send(ONE, TEXT, idempotency_key=key)


@pytest.mark.anyio
async def test_a_ledger_that_cannot_be_used_is_closed_again(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SqliteLedger] = []

    async def open_ledger(place: Path) -> SqliteLedger:
        opened.append(await SqliteLedger.open(place))
        return opened[-1]

    monkeypatch.setattr(client_module, "open_ledger", open_ledger)
    monkeypatch.setattr(SqliteLedger, "is_shared", True)
    sms = connect(sandbox, ledger=tmp_path / "sms.db", timeouts=Timeouts(send=500))
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            await sms.send(ONE, TEXT, idempotency_key="k0")
    assert [ledger._database.is_closed for ledger in opened] == [True, True]
    await sms.aclose()
