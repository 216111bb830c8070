"""One-time codes of a client: once for a key, and no more than the limits let through. Over real sockets."""

from __future__ import annotations

import gc
import logging
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any

import anyio
import pytest
from attrs import evolve

from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    GatewayError,
    InvalidInputError,
    MemoryLedger,
    NotSentError,
    OtpLimitedError,
    OtpLimits,
    Outcome,
    OutcomeUnknownError,
    SqliteLedger,
    VavaSMS,
    VavaSMSError,
)
from vavasms.errors import IdempotencyConflictError, LedgerError
from vavasms.ledger.otp import OtpRequest, Refusal
from vavasms.ledger.send_record import SendKind
from vavasms.ledger.sqlite.otp import SqliteOtp
from vavasms.models import OtpReason
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Kind, SandboxServer

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_collections")]

ONE, TWO, MALI = "2250709000001", "2250709000102", "22376000001"
CALLER = "203.0.113.7"
#: 903 by the sandbox's own table.
REFUSED = "2250700000903"


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """Collect what a loop that has ended left behind before the next test."""
    yield
    gc.collect()


class Clock:
    """The seconds of a client's guard."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return where codes are counted."""
    return tmp_path / "sms.db" if request.param == "file" else None


def settings(sandbox: SandboxServer, **more: Any) -> dict[str, Any]:
    username, password = sandbox.gateway.username, sandbox.gateway.password
    given = {"username": username, "password": password, "sender_id": "ACME", "base_url": sandbox.url}
    return {**given, "trust_env": False, **more}


@asynccontextmanager
async def opened(
    sandbox: SandboxServer, clock: Clock | None = None, **more: Any
) -> AsyncIterator[AsyncVavaSMS]:
    async with AsyncVavaSMS(**settings(sandbox, **more)) as sms:
        if clock is not None:
            set_clock(sms, clock)
        yield sms


def set_clock(sms: AsyncVavaSMS, clock: Clock) -> None:
    otps: Any = sms._otps
    otps._guard = evolve(otps._guard, clock=clock)


def codes_sent(sandbox: SandboxServer) -> int:
    return sum(entry.kind is Kind.OTP for entry in sandbox.gateway.journal.entries)


@contextmanager
def limited(reason: str, retry_after: float | None) -> Iterator[None]:
    with pytest.raises(OtpLimitedError) as caught:
        yield
    error = caught.value
    assert (error.reason, error.outcome) == (reason, Outcome.NOT_SENT)
    assert error.retry_after == (retry_after if retry_after is None else pytest.approx(retry_after))
    copied = pickle.loads(pickle.dumps(error))
    for text in (repr(error), str(error), repr(vars(error)), repr(vars(copied)), repr(copied)):
        assert ONE[5:] not in text
        assert MALI[5:] not in text
        assert CALLER not in text


async def test_each_limit_is_kept_to_the_second(
    sandbox: SandboxServer, ledger: Path | None, clock: Clock
) -> None:
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits()) as sms:
        for wait in (30, 60, 120, 240):
            await sms.send_otp(ONE, client=CALLER)
            clock.now += wait - 1
            with limited("cool_down", 1):
                await sms.send_otp(ONE, client=CALLER)
            clock.now += 1
        await sms.send_otp(ONE, client=CALLER)
        clock.now += 480
        with limited("number_hourly", 3600 - 930):
            await sms.send_otp(ONE, client=CALLER)
        for number in range(5):
            await sms.send_otp(str(int(TWO) + number), client=CALLER)
        with limited("client_hourly", 3600 - 930):
            await sms.send_otp(str(int(TWO) + 5), client=CALLER)
        for number in range(5):
            await sms.send_otp(str(int(TWO) + 5 + number), client="2001:db8::1")
        with limited("range_hourly", 3600):
            await sms.send_otp(str(int(TWO) + 10), client="2001:db8::1")
        with limited("country", None):
            await sms.send_otp(MALI)
        assert codes_sent(sandbox) == 15


async def test_the_rest_of_a_day_is_refused_after_ten(
    sandbox: SandboxServer, ledger: Path | None, clock: Clock
) -> None:
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits()) as sms:
        for _ in range(10):
            await sms.send_otp(ONE)
            clock.now += 1800
        with limited("number_daily", 86_400 - 18_000):
            await sms.send_otp(ONE)
        assert codes_sent(sandbox) == 10


async def test_a_network_is_one_caller(sandbox: SandboxServer, ledger: Path | None, clock: Clock) -> None:
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits(client_hourly=2)) as sms:
        await sms.send_otp(ONE, client="2001:db8:0:1::1")
        await sms.send_otp(TWO, client="2001:db8:0:1:ffff::2")
        with limited("client_hourly", 3600):
            await sms.send_otp("2250709000203", client="2001:db8:0:1:8000::3")
        await sms.send_otp("2250709000203", client="2001:db8:0:2::1")
    assert codes_sent(sandbox) == 3


async def test_countries_that_are_named_get_codes(sandbox: SandboxServer, ledger: Path | None) -> None:
    async with opened(sandbox, ledger=ledger, otp_limits=OtpLimits(countries=("ML",))) as sms:
        await sms.send_otp(MALI)
        with limited("country", None):
            await sms.send_otp("22670000001")
    async with opened(sandbox, ledger=ledger, region="ML", otp_limits=OtpLimits()) as sms:
        with limited("country", None):
            await sms.send_otp(f"+{ONE}")
    assert codes_sent(sandbox) == 1


async def test_the_segments_of_a_template_are_counted(
    sandbox: SandboxServer, ledger: Path | None, clock: Clock
) -> None:
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits(segments_daily=3)) as sms:
        await sms.send_otp(ONE, template="é" * 160 + "##OTP##")
        with limited("segments_daily", 86_400):
            await sms.send_otp(TWO, template="é" * 160 + "##OTP##")
        await sms.send_otp(TWO)
        with limited("segments_daily", 86_400):
            await sms.send_otp("2250709000203")
    assert codes_sent(sandbox) == 2


async def test_wrong_codes_are_refused_here_until_a_new_one_is_sent(
    sandbox: SandboxServer, ledger: Path | None, clock: Clock
) -> None:
    sandbox.gateway._otps._attempts = 100
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits(wrong_codes=3)) as sms:
        await sms.send_otp(ONE, length=6)
        right = sandbox.gateway.latest_otp(ONE)
        wrong = "0" * 5
        assert right is not None
        # Neither what can be no code nor the right one is a wrong one.
        for typed in ("abc", "12", ""):
            assert (await sms.verify_otp(ONE, typed)).reason is OtpReason.MALFORMED
        for _ in range(3):
            assert not await sms.verify_otp(ONE, wrong)
        with limited("wrong_codes", None):
            await sms.verify_otp(ONE, right)
        assert not await sms.verify_otp(TWO, wrong)
        clock.now += 30
        await sms.send_otp(ONE, length=6)
        right = sandbox.gateway.latest_otp(ONE)
        assert right is not None
        for _ in range(2):
            assert not await sms.verify_otp(ONE, wrong)
        assert await sms.verify_otp(ONE, right)


async def test_no_limit_on_wrong_codes_is_none(sandbox: SandboxServer, ledger: Path | None) -> None:
    async with opened(sandbox, ledger=ledger, otp_limits=OtpLimits(wrong_codes=None)) as sms:
        for _ in range(7):
            assert not await sms.verify_otp(ONE, "00000")


async def test_not_sent_is_given_back_and_rejected_and_unknown_count(
    sandbox: SandboxServer, ledger: Path | None, clock: Clock
) -> None:
    async with opened(sandbox, clock, ledger=ledger, otp_limits=OtpLimits(range_hourly=2)) as sms:
        sandbox.faults.script(Fault(kind=FaultKind.RATE_LIMIT))
        with pytest.raises(VavaSMSError) as caught:
            await sms.send_otp(REFUSED)
        assert caught.value.outcome is Outcome.NOT_SENT
        with pytest.raises(GatewayError) as refused:
            await sms.send_otp(REFUSED)
        assert refused.value.outcome is Outcome.REJECTED
        with limited("cool_down", 30):
            await sms.send_otp(REFUSED)
        sandbox.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
        with pytest.raises(OutcomeUnknownError):
            await sms.send_otp("2250700000904")
        with limited("range_hourly", 3600):
            await sms.send_otp("2250700000905")


async def test_no_network_costs_no_code(
    sandbox: SandboxServer, ledger: Path | None, no_backoff: None
) -> None:
    async with opened(
        sandbox, base_url="http://127.0.0.1:9/api", ledger=ledger, otp_limits=OtpLimits()
    ) as sms:
        for _ in range(3):
            with pytest.raises(NotSentError):
                await sms.send_otp(ONE)


async def test_a_code_is_sent_once_for_its_key_and_a_replay_counts_nothing(
    sandbox: SandboxServer, tmp_path: Path, clock: Clock
) -> None:
    limits = OtpLimits(number_hourly=2)
    async with opened(sandbox, clock, ledger=tmp_path / "sms.db", otp_limits=limits) as sms:
        first = await sms.send_otp(ONE, length=6, idempotency_key="login-1", client=CALLER)
        assert not first.replayed
        for _ in range(5):
            again = await sms.send_otp(ONE, length=6, idempotency_key="login-1", client=CALLER)
            assert (again.replayed, again.message_id) == (True, first.message_id)
        for other in ({"length": 5}, {"template": "##OTP##"}, {"language": "fr"}, {"sender_id": "OTHER"}):
            with pytest.raises(IdempotencyConflictError):
                await sms.send_otp(ONE, **{"length": 6, **other}, idempotency_key="login-1")  # type: ignore[arg-type]
        with limited("cool_down", 30):
            await sms.send_otp(ONE, idempotency_key="login-2")
        assert await sms.sent("login-2") is None
        clock.now += 30
        assert not (await sms.send_otp(ONE, idempotency_key="login-2")).replayed
        record = await sms.sent("login-2")
        assert record is not None
        assert (record.kind, record.segments, record.text) == (SendKind.OTP, 1, None)
    assert codes_sent(sandbox) == 2


async def test_a_ledger_keeps_codes_without_limits_too(sandbox: SandboxServer, tmp_path: Path) -> None:
    async with opened(sandbox, ledger=tmp_path / "sms.db", keep_texts=True) as sms:
        options: dict[str, Any] = {"template": "Votre code ##OTP##", "valid_for": timedelta(minutes=5)}
        receipt = await sms.send_otp(ONE, **options, idempotency_key="k")
        assert await sms.send_otp(ONE, **options, idempotency_key="k") == evolve(receipt, replayed=True)
        record = await sms.sent("k")
        assert record is not None
        assert record.receipt == evolve(receipt, replayed=True)
        assert record.lot is None
        assert record.text == (
            '{"language":null,"length":null,"template":"Votre code ##OTP##","valid_for":300.0}'
        )
        await sms.send_otp(ONE)
        await sms.send_otp(ONE)
        assert await sms.verify_otp(ONE, sandbox.gateway.latest_otp(ONE) or "")
    assert codes_sent(sandbox) == 3


async def test_calls_at_once_with_one_key_are_one_code(sandbox: SandboxServer, tmp_path: Path) -> None:
    receipts = []
    async with opened(sandbox, ledger=tmp_path / "sms.db", otp_limits=OtpLimits(range_hourly=1)) as sms:

        async def send() -> None:
            receipts.append(await sms.send_otp(ONE, idempotency_key="k"))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(send)
    assert Counter(receipt.replayed for receipt in receipts) == {False: 1, True: 7}
    assert codes_sent(sandbox) == 1


async def test_a_key_whose_code_was_refused_may_be_used_anew(
    sandbox: SandboxServer, tmp_path: Path, clock: Clock
) -> None:
    async with opened(sandbox, clock, ledger=tmp_path / "sms.db", otp_limits=OtpLimits()) as sms:
        with pytest.raises(GatewayError):
            await sms.send_otp(REFUSED, idempotency_key="k")
        with limited("cool_down", 30):
            await sms.send_otp(REFUSED, idempotency_key="k")
        clock.now += 30
        with pytest.raises(GatewayError):
            await sms.send_otp(REFUSED, idempotency_key="k")


class LateOtp(SqliteOtp):
    """Finds nothing in the way before the claim, as where another call comes in between."""

    async def check(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        return None


class LateLedger(MemoryLedger):
    @property
    def otp(self) -> SqliteOtp:
        return LateOtp(self._database)


async def test_a_code_that_is_refused_after_its_claim_was_not_sent(sandbox: SandboxServer) -> None:
    async with opened(
        sandbox, ledger=LateLedger(), otp_limits=OtpLimits(cool_down=None, number_hourly=1)
    ) as sms:
        await sms.send_otp(ONE, idempotency_key="k")
        with pytest.raises(OtpLimitedError):
            await sms.send_otp(ONE, idempotency_key="l")
        record = await sms.sent("l")
        assert record is not None
        assert record.outcome is Outcome.NOT_SENT
        assert record.error is not None
        assert ONE[5:] not in record.error
        assert (await sms.send_otp(ONE, idempotency_key="k")).replayed
    assert codes_sent(sandbox) == 1


class Broken(SqliteOtp):
    """Counts, and its answer is lost."""

    async def take(self, request: OtpRequest, limits: OtpLimits, *, now: float) -> Refusal | None:
        await super().take(request, limits, now=now)
        raise LedgerError("The disk is full.")


class BrokenLedger(MemoryLedger):
    @property
    def otp(self) -> SqliteOtp:
        return Broken(self._database)


async def test_a_ledger_that_cannot_be_written_sends_nothing(sandbox: SandboxServer) -> None:
    async with opened(sandbox, ledger=BrokenLedger(), otp_limits=OtpLimits()) as sms:
        for key in (None, "k", "k"):
            with pytest.raises(LedgerError) as caught:
                await sms.send_otp(ONE, idempotency_key=key)
            assert caught.value.outcome is Outcome.NOT_SENT
        with pytest.raises(LedgerError) as caught:
            await sms.verify_otp(ONE, "12345")
        assert caught.value.outcome is Outcome.NOT_SENT
    assert not sandbox.gateway.journal


async def test_a_ledger_that_cannot_be_read_sends_nothing(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    async with opened(sandbox, ledger=ledger, otp_limits=OtpLimits()) as sms:
        await sms.send_otp(ONE, idempotency_key="k")

        async def find(account: str, key: str) -> None:
            raise LedgerError("The disk is gone.")

        monkeypatch.setattr(ledger.sends, "find", find)
        with pytest.raises(LedgerError) as caught:
            await sms.send_otp(ONE, idempotency_key="l")
        assert caught.value.outcome is Outcome.NOT_SENT
    assert codes_sent(sandbox) == 1


async def test_a_code_that_was_cut_off_counts_if_it_may_have_left(ledger: Path | None, clock: Clock) -> None:
    # A server of its own: what it takes late is in no other test's journal.
    with SandboxServer() as server:
        server.faults.script(Fault(kind=FaultKind.STALL, seconds=30))
        async with opened(server, clock, ledger=ledger, otp_limits=OtpLimits()) as sms:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sms.send_otp, ONE)
                assert await anyio.to_thread.run_sync(server.faults.wait_taken, 1)
                tasks.cancel_scope.cancel()
            with limited("cool_down", 30):
                await sms.send_otp(ONE)


async def test_what_needs_a_ledger_or_limits_says_so(sandbox: SandboxServer, tmp_path: Path) -> None:
    async with opened(sandbox) as sms:
        with pytest.raises(ConfigurationError, match="need a ledger"):
            await sms.send_otp(ONE, idempotency_key="k")
        with pytest.raises(ConfigurationError, match="OtpLimits"):
            await sms.send_otp(ONE, client=CALLER)
        await sms.send_otp(ONE)
    async with opened(sandbox, ledger=tmp_path / "sms.db") as sms:
        with pytest.raises(ConfigurationError, match="OtpLimits"):
            await sms.send_otp(ONE, client=CALLER)
        with pytest.raises(InvalidInputError, match="idempotency_key"):
            await sms.send_otp(ONE, idempotency_key="\n")
    async with opened(sandbox, otp_limits=OtpLimits()) as sms:
        with pytest.raises(ConfigurationError, match="needs a ledger"):
            await sms.send_otp(ONE, idempotency_key="k")
        with pytest.raises(InvalidInputError, match="client is the address"):
            await sms.send_otp(ONE, client="somebody")
    with pytest.raises(ConfigurationError, match="otp_limits is OtpLimits"):
        AsyncVavaSMS(**settings(sandbox, otp_limits={"number_hourly": 1}))
    assert codes_sent(sandbox) == 1


def test_who_counts_in_memory_is_warned_once(
    sandbox: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "vavasms")
    with VavaSMS(**settings(sandbox, otp_limits=OtpLimits())) as sms:
        sms.send_otp(ONE)
        sms.send_otp(TWO)
    (warning,) = [record.message for record in caplog.records if record.name == "vavasms"]
    assert warning == (
        "One-time codes are counted in the memory of this process only, and others send as many more: "
        "AsyncVavaSMS(ledger=…) counts them together."
    )
    caplog.clear()
    with VavaSMS(**settings(sandbox, otp_limits=OtpLimits(), ledger=tmp_path / "sms.db")) as sms:
        sms.send_otp(ONE)
    assert not caplog.records


def in_threads(work: Callable[[int], None], threads: int = 8) -> None:
    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
        assert not thread.is_alive()


def test_threads_of_one_client_count_together(sandbox: SandboxServer, ledger: Path | None) -> None:
    refused: list[str] = []
    with VavaSMS(**settings(sandbox, ledger=ledger, otp_limits=OtpLimits())) as sms:

        def work(thread: int) -> None:
            for call in range(5):
                try:
                    sms.send_otp(str(2250709000100 + 10 * thread + call), client=CALLER)
                except OtpLimitedError as error:
                    refused.append(error.reason)

        in_threads(work)
    assert codes_sent(sandbox) == 10
    assert len(refused) == 30


# What belongs to a loop that has ended is dropped, never closed.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_event_loops_of_one_client_count_together(sandbox: SandboxServer, ledger: Path | None) -> None:
    sms = AsyncVavaSMS(**settings(sandbox, ledger=ledger, otp_limits=OtpLimits()))

    async def send(thread: int) -> None:
        for call in range(5):
            try:
                await sms.send_otp(str(2250709000100 + 10 * thread + call))
            except OtpLimitedError:
                pass
        if sms._keeper is not None:
            await sms._keeper.aclose()

    in_threads(lambda thread: anyio.run(send, thread), 4)
    assert codes_sent(sandbox) == 10


PROCESS = """
import sys
from vavasms import OtpLimitedError, OtpLimits, VavaSMS
url, username, password, ledger, first = sys.argv[1:]
with VavaSMS(username, password, sender_id="ACME", base_url=url, trust_env=False, ledger=ledger,
             otp_limits=OtpLimits(wrong_codes=4)) as sms:
    print("ready", flush=True)
    sys.stdin.readline()
    sent = refused = tried = 0
    for call in range(8):
        try:
            sms.send_otp(str(int(first) + call), client="203.0.113.7" if call % 2 else None)
            sent += 1
        except OtpLimitedError:
            refused += 1
    for _ in range(3):
        try:
            sms.verify_otp("2250709009999", "00000")
            tried += 1
        except OtpLimitedError:
            pass
    print(sent, refused, tried)
"""


@pytest.mark.slow
def test_processes_send_together_what_one_may(sandbox: SandboxServer, tmp_path: Path) -> None:
    given = (sandbox.url, sandbox.gateway.username, sandbox.gateway.password, str(tmp_path / "sms.db"))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *given, str(2250709000100 + 10 * number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [[int(n) for n in process.communicate(timeout=120)[0].split()] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [sum(column) for column in zip(*counts, strict=True)] == [10, 54, 4]
    assert codes_sent(sandbox) == 10
    with closing(connect(tmp_path / "sms.db")) as connection:
        # A refused code leaves no row, save where another call came between the look and the claim.
        rows = connection.execute("SELECT state, count(*) FROM send GROUP BY state").fetchall()
        assert dict(rows)["accepted"] == 10
        assert connection.execute("SELECT count(*) FROM otp_event WHERE kind = 'code'").fetchone() == (10,)


FORK = """
import os, sys, threading, time
import anyio
from vavasms import AsyncVavaSMS, NotSentError, OtpLimits
from vavasms.ledger.otp import OtpKind, OtpRequest
from vavasms.ledger.sqlite.otp import MemoryOtp
from vavasms.numbers import Msisdn

store, limits, stop = MemoryOtp(), OtpLimits(range_hourly=None, client_hourly=None), threading.Event()
sms = AsyncVavaSMS("me", "word", sender_id="ACME", base_url="http://127.0.0.1:9/api", otp_limits=limits)

def take(number):
    request = OtpRequest(account="ops", kind=OtpKind.CODE, token=os.urandom(8).hex(), recipient=Msisdn(number))
    work = store.take(request, limits, now=1000.0)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value

def hammer(first):
    number = first
    while not stop.is_set():
        number += 1
        take(number)

async def send():
    try:
        await sms.send_otp("2250709000001")
    except NotSentError:
        # Where nobody listens: the client is at work in the child.
        return True

assert take(2250700000000) is None
threads = [threading.Thread(target=hammer, args=(2250710000000 + i * 10**6,)) for i in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(20):
    pid = os.fork()
    if not pid:
        # What the parent counted is known, what is new is counted, and nothing hangs.
        known = take(2250700000000) is not None
        fresh = take(2250700000001) is None and take(2250700000001) is not None
        os._exit(0 if known and fresh and anyio.run(send) else 1)
    children.append(pid)
    time.sleep(0.005)
deadline = time.monotonic() + 60
codes = []
while children and time.monotonic() < deadline:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.remove(pid)
            codes.append(status)
    time.sleep(0.01)
stop.set()
for pid in children:
    os.kill(pid, 9)
print(len(children), set(codes))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_fork_finds_what_is_counted_and_never_a_lock_of_the_parent() -> None:
    # Python 3.12 warns of a fork beside threads, which is what this is about.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "0 {0}\n", done.stderr


async def test_an_open_ledger_counts_too(sandbox: SandboxServer, tmp_path: Path) -> None:
    async with await SqliteLedger.open(tmp_path / "sms.db") as ledger:
        async with opened(sandbox, ledger=ledger, otp_limits=OtpLimits()) as sms:
            await sms.send_otp(ONE)
        async with opened(sandbox, ledger=ledger, otp_limits=OtpLimits()) as sms:
            with pytest.raises(OtpLimitedError):
                await sms.send_otp(ONE)
        assert Msisdn(ONE).masked not in repr(ledger.otp)


def test_a_client_without_limits_loads_nothing_of_them() -> None:
    script = (
        "import sys; from vavasms import AsyncVavaSMS, OtpLimits; AsyncVavaSMS('me', 'word', sender_id='ACME'); "
        "print(*[name for name in sys.modules if name.startswith(('vavasms.sends.', "
        "'vavasms.ledger.sqlite'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["vavasms.sends.base"]
