"""The facade: the same names, through one shared portal, from wherever it is called."""

from __future__ import annotations

import gc
import inspect
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, ClassVar

import anyio
import pytest

from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    Outcome,
    VavaSMS,
)
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer


def numbers(count: int) -> list[str]:
    return [f"2250758{index:06d}" for index in range(count)]


def client(sandbox: SandboxServer) -> VavaSMS:
    return VavaSMS(
        sandbox.gateway.username,
        sandbox.gateway.password,
        sender_id="ACME",
        base_url=sandbox.url,
        trust_env=False,
    )


@pytest.fixture
def sandbox(sandbox: SandboxServer) -> SandboxServer:
    sandbox.gateway.set_balance(Decimal(10**9))
    return sandbox


def public(cls: type) -> dict[str, object]:
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_names_and_signatures() -> None:
    theirs, ours = public(AsyncVavaSMS), public(VavaSMS)
    assert set(theirs) - {"aclose"} == set(ours) - {"close"}
    assert isinstance(theirs.pop("account"), property)
    assert isinstance(ours.pop("account"), property)
    for name in [*(set(theirs) - {"aclose"}), "__init__"]:
        one, other = (inspect.signature(getattr(cls, name)) for cls in (AsyncVavaSMS, VavaSMS))
        assert one.parameters == other.parameters, name


def test_every_call_works_without_await(sandbox: SandboxServer) -> None:
    with client(sandbox) as sms:
        assert sms.balance().amount == 10**9
        lot = sms.send([*numbers(2), numbers(1)[0]], "Bonjour")
        assert len(lot.message_ids) == 2
        assert sms.delivery_reports(lot.message_ids[0], lot_id=lot.lot_id)[0].message_id == lot.message_ids[0]
        sms.send_otp(numbers(1)[0], length=6)
        code = sandbox.gateway.latest_otp(numbers(1)[0])
        assert code is not None
        assert not sms.verify_otp(numbers(1)[0], "0000")
        assert sms.verify_otp(numbers(1)[0], code).valid
        assert sms.send_bulk(numbers(250), "Bonjour").accepted == 250


def test_it_works_inside_a_running_event_loop_of_either_kind(sandbox: SandboxServer) -> None:
    async def main() -> None:
        with client(sandbox) as sms:
            assert sms.balance().currency == "XOF"

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_one_client_serves_many_threads(sandbox: SandboxServer) -> None:
    with client(sandbox) as sms, ThreadPoolExecutor(16) as threads:
        lots = list(threads.map(lambda number: sms.send(number, "Bonjour"), numbers(200)))
    assert len({lot.lot_id for lot in lots}) == 200
    assert set(sandbox.gateway.journal.counts().values()) == {1}


def test_all_clients_share_one_thread_which_ends_with_the_last_of_them(sandbox: SandboxServer) -> None:
    def portals() -> int:
        return [thread.name for thread in threading.enumerate()].count("vavasms-portal")

    assert portals() == 0
    for _ in range(3):
        first, second = client(sandbox), client(sandbox)
        first.balance()
        second.balance()
        assert portals() == 1
        first.close()
        second.balance()
        second.close()
        second.close()
        assert portals() == 0


def test_a_closed_client_says_so(sandbox: SandboxServer) -> None:
    sms = client(sandbox)
    sms.close()
    with pytest.raises(ConfigurationError, match="closed"):
        sms.balance()


def test_an_iterable_is_read_in_the_callers_own_thread(sandbox: SandboxServer) -> None:
    database = sqlite3.connect(":memory:")  # refuses any other thread
    database.execute("create table contact (phone text)")
    database.executemany("insert into contact values (?)", [(number,) for number in numbers(1000)])

    def rows() -> Iterator[str]:
        for (phone,) in database.execute("select phone from contact"):
            yield phone

    with client(sandbox) as sms:
        assert sms.send_bulk(rows(), "Bonjour").accepted == 1000
        with sms.stream_bulk(rows(), "Bonjour") as results:
            assert sum(len(result.recipients) for result in results) == 1000
    database.close()


def test_a_failing_iterable_raises_its_own_error_after_the_results(sandbox: SandboxServer) -> None:
    def rows() -> Iterator[str]:
        yield from numbers(300)
        raise LookupError("the database went away")

    with client(sandbox) as sms:
        with pytest.raises(LookupError, match="went away") as raised:
            sms.send_bulk(rows(), "Bonjour")
        assert vars(raised.value)["bulk_report"].accepted == len(sandbox.gateway.journal.counts())
        accepted = 0
        with pytest.raises(LookupError, match="went away"), sms.stream_bulk(rows(), "Bonjour") as results:
            for result in results:
                accepted += len(result.recipients)
        assert accepted == results.report.accepted


def test_leaving_a_stream_early_settles_what_is_in_flight(sandbox: SandboxServer) -> None:
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.05): 1.0})
    with client(sandbox) as sms:
        with sms.stream_bulk(iter(numbers(5000)), "Bonjour", batch_size=10, concurrency=8) as results:
            first = next(results)
        report = results.report
    assert report.unknown == 0
    settled = [first, *report.undelivered]
    assert sum(len(result.recipients) for result in settled) == report.accepted + report.not_sent
    assert report.accepted == len(sandbox.gateway.journal.counts())


def test_bad_input_is_refused_before_anything_is_sent(sandbox: SandboxServer) -> None:
    with client(sandbox) as sms:
        wrong: tuple[Any, ...] = ([], "2250759000001", None)
        for recipients in wrong:
            with pytest.raises(InvalidInputError):
                sms.send_bulk(recipients, "Bonjour")
    assert not sandbox.gateway.journal.entries


def test_an_error_says_what_became_of_the_send(sandbox: SandboxServer) -> None:
    with client(sandbox) as sms, sandbox.refuse(), pytest.raises(NotSentError) as raised:
        sms.send(numbers(1)[0], "Bonjour")
    assert raised.value.outcome is Outcome.NOT_SENT


SCRIPT = """
import os, signal, sys
from vavasms import VavaSMS
# Whoever runs the tests in the background has had SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sms = VavaSMS("{username}", "{password}", sender_id="ACME", base_url="{url}")
{body}
"""


def run_script(sandbox: SandboxServer, body: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    gateway = sandbox.gateway
    source = SCRIPT.format(username=gateway.username, password=gateway.password, url=sandbox.url, body=body)
    command = [sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_a_script_that_never_closes_ends_all_the_same(sandbox: SandboxServer) -> None:
    done = run_script(sandbox, "print(sms.balance().currency)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "XOF\n", "")


INTERRUPTED = """
import threading
def progress(so_far):
    pass
rows = (f"2250757{{index:06d}}" for index in range(20000))
try:
    {call}
except KeyboardInterrupt as interrupt:
    print(repr(vars(interrupt).get("bulk_report") and (
        interrupt.bulk_report.accepted, interrupt.bulk_report.not_sent, interrupt.bulk_report.unknown)))
    print("notes:", *getattr(interrupt, "__notes__", []))
sms.close()
"""


def interrupt_script(sandbox: SandboxServer, body: str) -> str:
    gateway = sandbox.gateway
    source = SCRIPT.format(username=gateway.username, password=gateway.password, url=sandbox.url, body=body)
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert sandbox.faults.wait_taken(sandbox.faults.taken + 1, timeout=20)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return output


def stall(sandbox: SandboxServer) -> None:
    # Not the balance, which is read before a bulk send.
    sandbox.faults.script(None, path="/v1/check/balance")
    sandbox.faults.set_rates({Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.5): 1.0})


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
def test_ctrl_c_settles_the_calls_in_flight_of_a_bulk_send(sandbox: SandboxServer) -> None:
    stall(sandbox)
    call = 'sms.send_bulk(rows, "Bonjour", batch_size=10, concurrency=8)'
    output = interrupt_script(sandbox, INTERRUPTED.format(call=call))
    accepted, _, unknown = eval(output.splitlines()[0])
    assert unknown == 0
    assert accepted == len(sandbox.gateway.journal.counts()) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
def test_ctrl_c_settles_the_calls_in_flight_of_a_stream(sandbox: SandboxServer) -> None:
    stall(sandbox)
    call = """
    results = sms.stream_bulk(rows, "Bonjour", batch_size=10, concurrency=8)
    with results:
        for result in results: pass
"""
    body = INTERRUPTED.format(call=call) + "print(results.report.accepted, results.report.unknown)"
    output = interrupt_script(sandbox, body)
    accepted, unknown = map(int, output.splitlines()[-1].split())
    assert unknown == 0
    assert accepted == len(sandbox.gateway.journal.counts()) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
def test_ctrl_c_waits_for_the_single_send_under_way(sandbox: SandboxServer) -> None:
    stall(sandbox)
    output = interrupt_script(sandbox, INTERRUPTED.format(call='sms.send("2250758000001", "Bonjour")'))
    assert "the gateway took it" in output
    assert sandbox.gateway.journal.accepted_count("2250758000001") == 1


def test_nothing_is_left_behind(sandbox: SandboxServer, recwarn: pytest.WarningsRecorder) -> None:
    gc.collect()  # what the tests before left is not this one's
    recwarn.clear()
    with client(sandbox) as sms:
        sms.send_bulk(iter(numbers(100)), "Bonjour")
    gc.collect()
    assert [str(warning) for warning in recwarn.list] == []


class JobTimeoutError(Exception):
    """What job queues raise from a signal handler in the middle of whatever runs."""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM on Windows")
@pytest.mark.parametrize("lazy", [False, True], ids=["list", "generator"])
def test_a_jobs_time_limit_settles_what_is_in_flight_and_keeps_the_account(
    sandbox: SandboxServer, lazy: bool
) -> None:
    def expire(_: int, __: object) -> None:
        raise JobTimeoutError

    stall(sandbox)
    rows = numbers(5000)
    before = signal.signal(signal.SIGALRM, expire)
    try:
        with client(sandbox) as sms:
            signal.setitimer(signal.ITIMER_REAL, 0.7)
            with pytest.raises(JobTimeoutError) as raised:
                sms.send_bulk(iter(rows) if lazy else rows, "Bonjour", batch_size=10, concurrency=8)
            report = vars(raised.value)["bulk_report"]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert report.unknown == 0
    assert report.accepted == len(sandbox.gateway.journal.counts()) > 0


def test_an_interrupt_inside_the_iterable_keeps_what_it_gave(sandbox: SandboxServer) -> None:
    def rows() -> Iterator[str]:
        yield from numbers(44)
        raise KeyboardInterrupt

    with client(sandbox) as sms:
        with pytest.raises(KeyboardInterrupt) as raised:
            sms.send_bulk(rows(), "Bonjour", batch_size=10)
        report = vars(raised.value)["bulk_report"]
        assert report.accepted + report.not_sent == 44
        assert report.accepted == len(sandbox.gateway.journal.counts())


def test_what_looks_like_a_queryset_is_read_in_the_callers_own_thread(sandbox: SandboxServer) -> None:
    class QuerySet:
        readers: ClassVar[set[int]] = set()

        def __len__(self) -> int:
            raise AssertionError("this would load every row")

        def __iter__(self) -> Iterator[str]:
            for number in numbers(30):
                self.readers.add(threading.get_ident())
                yield number

        def __aiter__(self) -> AsyncIterator[str]:
            raise AssertionError("this belongs to an event loop")

    with client(sandbox) as sms:
        assert sms.send_bulk(QuerySet(), "Bonjour").accepted == 30
    assert QuerySet.readers == {threading.get_ident()}


@pytest.mark.parametrize("option", ["base_url", "region", "proxy", "max_connections", "tls"])
def test_a_wrong_setting_shows_no_password_in_a_traceback_with_locals(option: str) -> None:
    wrong: dict[str, Any] = {option: "http://elsewhere.example" if option == "base_url" else "::"}
    for cls in (AsyncVavaSMS, VavaSMS):
        with pytest.raises(ConfigurationError) as raised:
            cls("someone@example.com", "Tr0ub4dor-secret", **wrong)
        shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
        ours = [
            str(frame.locals) for frame in shown.stack if "vavasms/" in frame.filename.replace("tests", "")
        ]
        assert "Tr0ub4dor" not in " ".join(line for line in ours if "wrong" not in line)
