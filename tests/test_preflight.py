"""Before the first of several sends the balance is read: what every send would meet ends it with nothing sent."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.lowlevel import checkpoint

from tests.campaigns.staging import TEXT, Stage, connect, phones
from vavasms import AsyncVavaSMS, VavaSMS
from vavasms.bulk import preflight
from vavasms.bulk.preflight import ends_sending
from vavasms.campaigns.runner import CampaignRunner
from vavasms.campaigns.sending import balance_floor
from vavasms.campaigns.sending.balance_floor import BalanceReader
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    NotSentError,
    VavaSMSError,
)
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer
from vavasms.transport.hooks import CallInfo
from vavasms.transport.http import Attempt

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_backoff")]

BALANCE = "/v1/check/balance"
Scene = Callable[[SandboxServer], AbstractContextManager[dict[str, Any]]]


def odd_balance(fault: Fault, times: int = 6) -> Scene:
    def scene(sandbox: SandboxServer) -> AbstractContextManager[dict[str, Any]]:
        sandbox.faults.script(*[fault] * times, path=BALANCE)
        return nullcontext({})

    return scene


@contextmanager
def wrong_password(_: SandboxServer) -> Iterator[dict[str, Any]]:
    yield {"password": "wrong"}


@contextmanager
def closed_port(_: SandboxServer) -> Iterator[dict[str, Any]]:
    with socket.socket() as bound:
        # Bound and never listening: nobody else takes the port meanwhile.
        bound.bind(("127.0.0.1", 0))
        yield {"base_url": f"http://127.0.0.1:{bound.getsockname()[1]}/api"}


@contextmanager
def strange_certificate(_: SandboxServer) -> Iterator[dict[str, Any]]:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    with (
        certificate.private_key_and_cert_chain_pem.tempfile() as pem,
        SandboxServer(Gateway(), ssl_certfile=pem, ssl_keyfile=pem) as server,
    ):
        yield {"base_url": server.url}


def status(code: int) -> Fault:
    return Fault(kind=FaultKind.STATUS, status=code)


ENDS: dict[str, tuple[Scene, type[VavaSMSError]]] = {
    **{f"HTTP {code}": (odd_balance(status(code)), GatewayError) for code in (400, 401, 403, 404, 405, 413)},
    "901": (wrong_password, AuthenticationError),
    "redirect": (odd_balance(Fault(kind=FaultKind.REDIRECT)), ConfigurationError),
    "no connection": (closed_port, NotSentError),
    "TLS": (strange_certificate, NotSentError),
}
RAW = partial(Fault, kind=FaultKind.RAW)
GOES_ON: dict[str, Scene] = {
    **{f"HTTP {code}": odd_balance(status(code)) for code in (402, 408, 429, 500, 503)},
    "HTML": odd_balance(Fault(kind=FaultKind.HTML)),
    "empty": odd_balance(Fault(kind=FaultKind.EMPTY)),
    "reset": odd_balance(Fault(kind=FaultKind.RESET)),
    "no figure": odd_balance(RAW(body=b'{"code": 0, "data": {"balance": "much"}}')),
    "another code": odd_balance(RAW(body=b'{"code": 709, "message": "EXECUTION_ERROR"}')),
    "902": odd_balance(RAW(body=b'{"code": 902, "message": "INVALID_SENDER_ID"}')),
}


@pytest.mark.parametrize("name", ENDS)
async def test_what_every_send_would_meet_ends_a_bulk_send_with_nothing_sent(
    sandbox: SandboxServer, name: str
) -> None:
    scene, error = ENDS[name]
    with scene(sandbox) as changes:
        async with connect(sandbox, **changes) as sms:
            report = await sms.send_bulk(iter(phones(500)), "Bonjour", batch_size=20)
    assert (report.not_sent, len(report.results)) == (500, 25)
    sentences = {str(result.error) for result in report.results}
    (sentence,) = sentences
    assert f"reading the balance first ended in {error.__name__}" in sentence
    assert not sandbox.gateway.journal.entries


@pytest.mark.parametrize("name", ENDS)
async def test_what_every_send_would_meet_ends_a_campaign_with_nothing_sent(
    sandbox: SandboxServer, tmp_path: Path, name: str
) -> None:
    scene, error = ENDS[name]
    ledger = MemoryLedger()
    with scene(sandbox) as changes:
        async with connect(sandbox, **changes) as sms, CampaignRunner(sms, ledger) as runner:
            stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
            campaign_id = await stage.submit(20, batch_size=2)
            # The plan asks for the balance as well.
            sandbox.faults.clear()
            with scene(sandbox):
                run = await runner.run(campaign_id)
            batches = await stage.batches(campaign_id)
    assert (run.status.state, run.status.queued) == (CampaignState.PAUSED, 20)
    assert type(run.error) is error
    assert error.__name__ in (run.status.reason or "")
    assert not sandbox.gateway.journal.entries
    assert all(batch.sending_at is None for batch in batches)


@pytest.mark.parametrize("name", GOES_ON)
async def test_what_says_nothing_about_sends_stops_nothing(
    sandbox: SandboxServer, tmp_path: Path, name: str
) -> None:
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        GOES_ON[name](sandbox)
        report = await sms.send_bulk(phones(30), "Bonjour", batch_size=10)
        assert (report.accepted, report.not_sent) == (30, 0)
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(phones(20, 100), batch_size=2)
        sandbox.faults.clear()
        GOES_ON[name](sandbox)
        run = await runner.run(campaign_id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 20)
    assert set(stage.received().values()) == {1}


async def test_a_faulty_transport_of_ones_own_is_left_to_the_sends(sandbox: SandboxServer) -> None:
    class Faulty:
        max_connections = 1
        is_closed = False

        async def exchange(self, *_: object) -> Any:
            raise LookupError("a fault of its own")

    assert await preflight.check_balance(Faulty()) is None


async def test_no_free_place_says_nothing_about_sends() -> None:
    crowded = NotSentError("No connection to the gateway came free in time.")
    assert not ends_sending(crowded, Attempt())


def counted(sandbox: SandboxServer, **options: Any) -> tuple[AsyncVavaSMS, list[str]]:
    calls: list[str] = []

    def note(info: CallInfo) -> None:
        calls.append(info.call)

    return connect(sandbox, on_request=note, **options), calls


@pytest.mark.parametrize(("recipients", "looks"), [(1, 0), (9, 0), (10, 0), (11, 1), (20, 1), (95, 1)])
async def test_the_balance_is_read_once_and_only_before_several_batches(
    sandbox: SandboxServer, recipients: int, looks: int
) -> None:
    async def trickle() -> AsyncIterator[str]:
        for number in phones(recipients):
            yield number

    for source in (phones(recipients), iter(phones(recipients)), trickle()):
        sandbox.gateway.journal.clear()
        sms, calls = counted(sandbox)
        async with sms:
            report = await sms.send_bulk(source, "Bonjour", batch_size=10)
        assert report.accepted == recipients
        assert calls.count("balance") == looks
        assert calls[:looks] == ["balance"] * looks


def test_the_sync_client_reads_it_too(sandbox: SandboxServer) -> None:
    calls: list[str] = []
    gateway = sandbox.gateway
    with VavaSMS(
        gateway.username,
        gateway.password,
        sender_id="SANDBOX",
        base_url=sandbox.url,
        on_request=lambda info: calls.append(info.call),
    ) as sms:
        assert sms.send_bulk(phones(5), "Bonjour").accepted == 5
        assert calls == ["send_text"]
        assert sms.send_bulk(iter(phones(5, 5)), "Bonjour", batch_size=2).accepted == 5
    assert calls[1:] == ["balance", *["send_text"] * 3]


async def test_whether_there_is_a_second_batch_is_seen_without_reading_on(sandbox: SandboxServer) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for number in phones(100_000):
            read += 1
            yield number

    seen: list[int] = []

    def note(info: CallInfo) -> None:
        if info.call == "balance":
            seen.append(read)

    async with (
        connect(sandbox, on_request=note) as sms,
        sms.stream_bulk(endless(), "Bonjour", batch_size=10, concurrency=2) as results,
    ):
        await anext(results)
    assert len(seen) == 1
    assert seen[0] <= 50


async def test_an_iterable_that_waits_for_the_first_result_gets_it(sandbox: SandboxServer) -> None:
    settled = anyio.Event()

    async def patient() -> AsyncIterator[str]:
        for number in phones(2):
            yield number
        await settled.wait()
        for number in phones(2, 2):
            yield number

    async with connect(sandbox) as sms:
        with anyio.fail_after(10):
            async with sms.stream_bulk(patient(), "Bonjour", batch_size=2) as results:
                async for _ in results:
                    settled.set()
    assert results.report.accepted == 4


@pytest.fixture
def patient_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delay the first batch for as long as it takes until it is known whether there is a second."""
    monkeypatch.setattr("vavasms.bulk.sender._UNCOUNTED", math.inf)


@pytest.mark.usefixtures("patient_first_batch")
async def test_the_balance_is_read_as_soon_as_somebody_is_beyond_the_first_batch(
    sandbox: SandboxServer,
) -> None:
    looked = anyio.Event()

    def note(info: CallInfo) -> None:
        if info.call == "balance":
            looked.set()

    async def slow() -> AsyncIterator[str]:
        for number in phones(11):
            yield number
        await looked.wait()
        for number in phones(4, 11):
            yield number

    async with connect(sandbox, on_request=note) as sms:
        with anyio.fail_after(10):
            report = await sms.send_bulk(slow(), "Bonjour", batch_size=10)
    assert report.accepted == 15


@pytest.mark.parametrize("recipients", [9, 10], ids=["a short batch", "a full batch"])
@pytest.mark.usefixtures("patient_first_batch")
async def test_no_balance_is_read_while_there_may_be_one_batch_only(
    sandbox: SandboxServer, recipients: int
) -> None:
    async def slow() -> AsyncIterator[str]:
        for number in phones(recipients):
            yield number
        # It has nobody else, and is slow to say so.
        for _ in range(100):
            await checkpoint()

    sms, calls = counted(sandbox)
    async with sms:
        with anyio.fail_after(10):
            report = await sms.send_bulk(slow(), "Bonjour", batch_size=10)
    assert report.accepted == recipients
    assert calls == ["send_text"]


@pytest.mark.usefixtures("patient_first_batch")
def test_the_balance_is_read_once_a_part_of_a_second_batch_came_with_the_first(
    sandbox: SandboxServer,
) -> None:
    looked = threading.Event()

    def note(info: CallInfo) -> None:
        if info.call == "balance":
            looked.set()

    def slow() -> Iterator[str]:
        # Ten at a time are read: with the second ten there is a batch, and the beginning of another.
        yield from ["no number", *phones(19)]
        assert looked.wait(10)
        yield from phones(1, 19)

    gateway = sandbox.gateway
    with VavaSMS(
        gateway.username, gateway.password, sender_id="SANDBOX", base_url=sandbox.url, on_request=note
    ) as sms:
        report = sms.send_bulk(slow(), "Bonjour", batch_size=10)
    assert (report.accepted, len(report.invalid)) == (20, 1)


async def test_stopping_while_the_balance_is_read_sends_nothing(sandbox: SandboxServer) -> None:
    hang = Fault(kind=FaultKind.STALL, moment=Moment.BEFORE_READING, seconds=30)
    sandbox.faults.script(hang, path=BALANCE)
    async with connect(sandbox) as sms:
        # Less than the balance is read for: whoever stops does not wait for it.
        with anyio.fail_after(10):
            async with sms.stream_bulk(phones(30), "Bonjour", batch_size=2) as results:
                while sandbox.faults.pending:
                    await anyio.sleep(0.01)
    assert results.report.accepted == 0
    assert not sandbox.gateway.journal.entries


async def test_a_cancellation_while_the_balance_is_read_accounts_for_everybody(
    sandbox: SandboxServer,
) -> None:
    hang = Fault(kind=FaultKind.STALL, moment=Moment.BEFORE_READING, seconds=30)
    sandbox.faults.script(hang, path=BALANCE)
    caught: list[BaseException] = []

    async def send(sms: AsyncVavaSMS) -> None:
        try:
            await sms.send_bulk(phones(30), "Bonjour", batch_size=2, concurrency=2)
        except BaseException as error:
            caught.append(error)
            raise

    async with connect(sandbox) as sms, anyio.create_task_group() as tasks:
        tasks.start_soon(send, sms)
        with anyio.fail_after(30):
            while sandbox.faults.pending:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    report = vars(caught[0])["bulk_report"]
    assert report.not_sent > 0
    assert (report.accepted, report.unknown) == (0, 0)
    assert not sandbox.gateway.journal.entries


async def test_a_balance_that_takes_too_long_is_not_waited_for(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "LONGEST", 0.2)
    monkeypatch.setattr(balance_floor, "LONGEST", 0.2)
    hang = Fault(kind=FaultKind.STALL, moment=Moment.BEFORE_READING, seconds=5)
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(phones(6, 100), batch_size=2)
        sandbox.faults.script(hang, hang, path=BALANCE)
        with anyio.fail_after(20):
            assert (await sms.send_bulk(phones(30), "Bonjour", batch_size=10)).accepted == 30
            assert (await runner.run(campaign_id)).status.accepted == 6


async def test_a_campaign_that_is_stopped_while_the_balance_is_read_sends_nothing(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    hang = Fault(kind=FaultKind.STALL, moment=Moment.BEFORE_READING, seconds=5)
    async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        campaign_id = await stage.submit(20, batch_size=2)
        sandbox.faults.script(hang, path=BALANCE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run, campaign_id)
            with anyio.fail_after(30):
                while sandbox.faults.pending:
                    await anyio.sleep(0.01)
            runner.stop()
        state = (await stage.ledger.status(campaign_id)).state
    assert state is CampaignState.PAUSED
    assert not sandbox.gateway.journal.entries


async def test_two_campaigns_share_a_reading_that_is_under_way(sandbox: SandboxServer) -> None:
    sms, calls = counted(sandbox, password="wrong")
    errors: list[VavaSMSError | None] = []
    async with sms:
        reader = BalanceReader(transport=sms.account.transport)

        async def look() -> None:
            errors.append(await reader.look_ahead(anyio.Event()))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(look)
    assert [type(error) for error in errors] == [AuthenticationError] * 3
    assert calls == ["balance"]


# One batch in flight until the first answer.


def overlapping(events: list[str]) -> list[int]:
    """Count what was in flight after each beginning."""
    under_way, counts = 0, []
    for event in events:
        under_way += 1 if event == "begins" else -1
        if event == "begins":
            counts.append(under_way)
    return counts


def watched(sandbox: SandboxServer, **options: Any) -> tuple[AsyncVavaSMS, list[str]]:
    events: list[str] = []

    def begins(info: CallInfo) -> None:
        if info.call == "send_text":
            events.append("begins")

    def ends(info: CallInfo) -> None:
        if info.call == "send_text":
            events.append("ends")

    return connect(sandbox, on_request=begins, on_response=ends, **options), events


async def test_a_campaign_begins_with_one_batch_until_it_is_answered(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    slow = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.2)
    sandbox.faults.script(*[slow] * 9, path=TEXT)
    sms, events = watched(sandbox)
    async with sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        run = await stage.run(18, batch_size=2, concurrency=8)
    assert run.status.accepted == 18
    assert events[:2] == ["begins", "ends"]
    assert max(overlapping(events)) > 2


async def test_a_gateway_that_never_answers_has_one_batch_at_a_time(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.faults.script(*[Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)] * 3, status(503), path=TEXT)
    sms, events = watched(sandbox)
    async with sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        run = await stage.run(20, batch_size=2, concurrency=8)
    assert (run.status.unknown, run.status.accepted) == (8, 12)
    assert overlapping(events)[:4] == [1, 1, 1, 1]
    assert set(stage.received().values()) == {1}


async def test_a_resumed_campaign_begins_with_one_batch_as_well(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    sms, events = watched(sandbox)
    async with sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
        sandbox.faults.script(status(404), path=TEXT)
        run = await stage.run(20, batch_size=2, concurrency=8)
        assert (run.status.unknown, run.status.queued) == (2, 18)
        assert events == ["begins", "ends"]
        events.clear()
        run = await runner.run(run.status.id)
    assert (run.status.state, run.status.accepted) == (CampaignState.DONE, 18)
    assert events[:2] == ["begins", "ends"]
