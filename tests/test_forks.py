"""A client made before a fork (gunicorn --preload, Celery's prefork) works in the child, and in the parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vavasms.sandbox import Fault, FaultKind, SandboxServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")]

_HEAD = """
import os, signal, sys, threading, time, warnings
import anyio
from vavasms import AsyncVavaSMS, SqliteLedger, VavaSMS, VavaSMSError
from vavasms.sandbox import *
warnings.simplefilter("error")
# A client that nobody closed, as at the end of a worker.
warnings.simplefilter("ignore", ResourceWarning)
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
ACCOUNT = dict(username={username!r}, password={password!r}, sender_id="ACME", base_url={url!r}, trust_env=False)
LEDGER = {ledger!r}

def print(*values, flush=True):
    # A line is one write, buffered output or not (PYTHONUNBUFFERED): the children share it, all at once.
    os.write(sys.stdout.fileno(), (" ".join(map(str, values)) + "\\n").encode())

def fork(work):
    child = os.fork()
    if child == 0:
        signal.alarm(40)
        try:
            work()
        finally:
            sys.stdout.flush()
            os._exit(0)
    return child

def wait(*children):
    for child in children:
        assert os.waitpid(child, 0)[1] == 0

async def look():
    try:
        async with await SqliteLedger.open(LEDGER):
            print("opened", flush=True)
    except VavaSMSError as error:
        print(error.error_code, flush=True)
"""


def run(sandbox: SandboxServer, ledger: Path, body: str) -> list[str]:
    gateway = sandbox.gateway
    values = {"username": gateway.username, "password": gateway.password, "url": sandbox.url}
    source = _HEAD.format(ledger=str(ledger / "sms.db"), **values) + body
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def accepted(sandbox: SandboxServer) -> list[str]:
    return sorted(entry.message for entry in sandbox.gateway.journal.entries)


def test_a_client_that_was_used_sends_in_the_child_and_goes_on_in_the_parent(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
sms = VavaSMS(**ACCOUNT)
print(sms.send("+2250700000001", "parent first").recipients)
def work():
    print(sms.send("+2250700000001", "child").recipients)
    sms.close()
    sms.close()
    try:
        sms.balance()
    except VavaSMSError as error:
        print(error.error_code)
wait(fork(work))
sms.send("+2250700000001", "parent last")
sms.close()
""",
    )
    assert lines[-1] == "config.closed"
    assert accepted(sandbox) == ["child", "parent first", "parent last"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_async_client_as_well(sandbox: SandboxServer, tmp_path: Path, backend: str) -> None:
    lines = run(
        sandbox,
        tmp_path,
        f"""
sms = AsyncVavaSMS(**ACCOUNT)
async def send(text):
    print((await sms.send("+2250700000001", text)).lot_id is not None)
anyio.run(send, "parent first", backend={backend!r})
wait(fork(lambda: anyio.run(send, "child", backend={backend!r})))
anyio.run(send, "parent last", backend={backend!r})
""",
    )
    assert lines == ["True"] * 3
    assert accepted(sandbox) == ["child", "parent first", "parent last"]


def test_the_children_of_one_preloaded_client_send_a_key_once(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
sms = VavaSMS(**ACCOUNT, ledger=LEDGER)
sms.send("+2250700000001", "before", idempotency_key="order-1")
def work():
    lot = sms.send("+2250700000001", "once", idempotency_key="order-2")
    print(sms.sent("order-1").outcome.value, lot.lot_id)
    sms.close()
wait(*[fork(work) for _ in range(4)])
print("parent", sms.send("+2250700000001", "once", idempotency_key="order-2").lot_id)
sms.close()
""",
    )
    assert len({line.split()[-1] for line in lines}) == 1
    assert [line.split()[0] for line in lines] == ["accepted"] * 4 + ["parent"]
    assert accepted(sandbox) == ["before", "once"]


def test_a_fork_in_the_middle_of_a_call_leaves_the_child_refused_and_the_call_to_the_parent(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.faults.script(Fault(kind=FaultKind.STALL, seconds=2))
    lines = run(
        sandbox,
        tmp_path,
        """
began = threading.Event()
sms = VavaSMS(**ACCOUNT, on_request=lambda info: began.set())
thread = threading.Thread(target=lambda: print(sms.send("+2250700000001", "parent").message_ids != ()))
thread.start()
assert began.wait(20)
def work():
    for again in range(2):
        try:
            sms.send("+2250700000001", "child")
        except VavaSMSError as error:
            print(error.error_code, error.outcome.value, "fork" in str(error))
    wait(fork(grandchild))
    sms.close()
def grandchild():
    try:
        sms.balance()
    except VavaSMSError as error:
        print(error.error_code)
wait(fork(work))
thread.join()
sms.close()
""",
    )
    assert lines == ["config.fork not_sent True"] * 2 + ["config.fork", "True"]
    assert accepted(sandbox) == ["parent"]


def test_a_loop_that_goes_on_in_the_child_does_not_post_there_what_waits_to_be_tried_again(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    # Under trio, whose loop asks for no process; asyncio's ends by itself.
    lines = run(
        sandbox,
        tmp_path,
        """
import socket, trio
place = socket.socket()
place.bind(("127.0.0.1", 0))
failed = trio.Event()
account = ACCOUNT | {"base_url": f"http://127.0.0.1:{place.getsockname()[1]}"}
sms = AsyncVavaSMS(**account, on_response=lambda info: failed.set())
async def send():
    try:
        await sms.send("+2250700000001", "once")
    except VavaSMSError as error:
        print(error.error_code, error.outcome.value)
async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        # Nobody listens there: it waits for its second attempt.
        await failed.wait()
        child = os.fork()
    sys.stdout.flush()
    if child == 0:
        os._exit(0)
    wait(child)
trio.run(main)
""",
    )
    assert len(lines) == 2
    assert "config.fork not_sent" in lines


def test_a_stream_whose_loop_goes_on_in_the_child_sends_nothing_there(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
import trio
from vavasms import Timeouts
sms = AsyncVavaSMS(**ACCOUNT, timeouts=Timeouts(send=5))
async def main():
    child, outcomes = None, []
    numbers = [f"+22507000000{place:02}" for place in range(3)]
    async with sms.stream_bulk(numbers, "once", batch_size=1, concurrency=1, rate=0.5) as stream:
        async for result in stream:
            if child is None:
                # Between two batches: none is under way.
                child = os.fork()
            else:
                outcomes.append(result.outcome.value)
    print("child" if child == 0 else "parent", *outcomes)
    sys.stdout.flush()
    if child == 0:
        os._exit(0)
    wait(child)
trio.run(main)
""",
    )
    phones = [phone for entry in sandbox.gateway.journal.entries for phone in entry.phones]
    assert len(phones) == len(set(phones))
    child, parent = sorted(line.split() for line in lines)
    assert child == ["child", "not_sent", "not_sent"]
    # Both loops share one selector of the kernel's: where the child closes what the parent waits on, the parent
    # is woken no more, and has an unknown outcome in place of the answer.
    assert len(parent) == 3
    assert set(parent[1:]) <= {"accepted", "unknown"}
    assert 1 + parent.count("accepted") <= len(phones) <= 3


def test_a_body_does_not_leave_in_a_child(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
from vavasms.config import Secret
from vavasms.transport.body import Body
body = Body(Secret("a=b"), "")
def work():
    try:
        anyio.run(body.__anext__)
    except OSError as error:
        print("refused")
wait(fork(work))
print(anyio.run(body.__anext__))
""",
    )
    assert lines == ["refused", "b'a=b'"]


def test_a_transport_of_ones_own_is_not_opened_anew(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
import httpx
sms = VavaSMS(**ACCOUNT, transport=httpx.AsyncHTTPTransport())
sms.balance()
def work():
    try:
        sms.balance()
    except VavaSMSError as error:
        print(error.error_code)
    sms.close()
wait(fork(work))
print(sms.balance().currency)
sms.close()
""",
    )
    assert lines == ["config.fork", "XOF"]


def test_a_stream_of_the_parent_ends_at_once_in_the_child(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
sms = VavaSMS(**ACCOUNT)
stream = sms.stream_bulk([f"22507000{index:05d}" for index in range(10_000, 10_200)], "bulk", batch_size=10, concurrency=1)
stream.__enter__()
print(len(next(stream).recipients))
def work():
    try:
        for _ in range(100):
            next(stream)
    except VavaSMSError as error:
        print(error.error_code)
    except StopIteration:
        print("ended")
wait(fork(work))
print(1 + sum(1 for _ in stream))
stream.__exit__(None, None, None)
sms.close()
""",
    )
    assert lines[0] == "10"
    assert lines[-1] == "20"
    assert lines[1:-1] in (["config.closed"], ["ended"])
    assert len(accepted(sandbox)) == 20


def test_an_open_ledger_of_the_parent_is_refused_in_the_child(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
async def main():
    ledger = await SqliteLedger.open(LEDGER)
    sms = AsyncVavaSMS(**ACCOUNT, ledger=ledger)
    await sms.send("+2250700000001", "parent", idempotency_key="order-1")
    return sms, ledger
async def other():
    try:
        await sms.send("+2250700000001", "child", idempotency_key="order-2")
    except VavaSMSError as error:
        print(error.error_code, error.outcome.value)
sms, ledger = anyio.run(main)
wait(fork(lambda: anyio.run(other)))
""",
    )
    assert lines == ["config.fork not_sent"]
    assert accepted(sandbox) == ["parent"]


def test_a_fork_that_python_was_not_told_of_leaves_the_child_refused(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
import ctypes
sms = AsyncVavaSMS(**ACCOUNT)
async def balance():
    try:
        print((await sms.balance()).currency, flush=True)
    except VavaSMSError as error:
        print(error.error_code, flush=True)
    await sms.aclose()
child = ctypes.PyDLL(None).fork()
if child == 0:
    anyio.run(balance)
    os._exit(0)
wait(child)
anyio.run(balance)
""",
    )
    assert lines == ["config.fork", "XOF"]


def test_what_a_child_sends_is_kept_whoever_closes_the_ledger_first(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """SQLite's locks go by process: the child of an open one would have none, and the log be deleted."""
    body = """
sms = VavaSMS(**ACCOUNT, ledger=LEDGER)
def send(key):
    sms.send("+2250700000001", key, idempotency_key=key)
send("parent")
done, closed = os.pipe(), os.pipe()
def work():
    send("child")
    os.write(done[1], b"x")
    os.read(closed[0], 1)
    send("later")
    send("latest")
    sms.close()
child = fork(work)
os.read(done[0], 1)
sms.close()
os.write(closed[1], b"x")
wait(child)
"""
    assert run(sandbox, tmp_path, body) == []
    again = """
with VavaSMS(**ACCOUNT, ledger=LEDGER) as sms:
    for key in ("parent", "child", "later", "latest"):
        print(sms.send("+2250700000001", key, idempotency_key=key).replayed)
"""
    assert run(sandbox, tmp_path, again) == ["True"] * 4
    assert accepted(sandbox) == ["child", "later", "latest", "parent"]


def test_a_fork_waits_for_what_is_written_and_the_child_ends(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        """
begun = threading.Event()
def slowly(connection):
    connection.execute("CREATE TABLE slow (id)")
    begun.set()
    time.sleep(0.5)
async def main(path, work):
    async with await SqliteLedger.open(path) as ledger:
        await ledger._database.write(work)
def add(connection):
    connection.execute("INSERT INTO slow VALUES (1)")
thread = threading.Thread(target=anyio.run, args=(main, LEDGER, slowly))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(40)
    anyio.run(main, LEDGER, add)
    # As any process ends, with its finalizers.
    sys.exit(0)
wait(child)
thread.join()
anyio.run(main, LEDGER, lambda c: print(c.execute("SELECT count(*) FROM slow").fetchone()[0]))
""",
    )
    assert lines == ["1"]


def test_a_file_that_was_open_at_a_fork_is_refused_in_the_child(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Python was not told of the first fork; at the second one something takes too long."""
    lines = run(
        sandbox,
        tmp_path,
        """
import ctypes
from vavasms.storage.sqlite import connections
connections._PATIENCE = 0.2
begun, go = threading.Event(), threading.Event()
def hold(connection):
    begun.set()
    go.wait()
async def main():
    async with await SqliteLedger.open(LEDGER) as ledger:
        child = ctypes.PyDLL(None).fork()
        if child == 0:
            thread = threading.Thread(target=anyio.run, args=(look,))
            thread.start()
            thread.join()
            os._exit(0)
        wait(child)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger._database.write, hold)
            while not begun.is_set():
                await anyio.sleep(0.01)
            # The loop of this thread goes on here: another is begun in the child's only one.
            child = os.fork()
            if child == 0:
                thread = threading.Thread(target=anyio.run, args=(look,))
                thread.start()
                thread.join()
                os._exit(0)
            wait(child)
            go.set()
    await look()
anyio.run(main)
""",
    )
    assert lines == ["config.fork", "config.fork", "opened"]


_BUSY = """
begun, go = threading.Event(), threading.Event()
def hold(connection):
    begun.set()
    go.wait(20)
def add(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS note (id)")
    connection.execute("INSERT INTO note VALUES (1)")
async def use():
    async with await SqliteLedger.open(LEDGER) as ledger:
        await ledger._database.write(add)
        await ledger._database.read(hold)
        await ledger._database.write(add)
        await ledger._database.read(lambda c: print(c.execute("SELECT count(*) FROM note").fetchone()[0]))
thread = threading.Thread(target=anyio.run, args=(use,))
thread.start()
begun.wait()
"""


def test_an_interrupt_while_a_fork_waits_leaves_the_ledger_at_work(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    lines = run(
        sandbox,
        tmp_path,
        _BUSY
        + """
class Interrupt(BaseException):
    pass
def interrupt(number, frame):
    raise Interrupt
# Python tells only standard error of what a hook raises.
sys.unraisablehook = lambda told: print(told.exc_type.__name__, flush=True)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.3)
wait(fork(lambda: None))
go.set()
thread.join(20)
assert not thread.is_alive()
""",
    )
    assert lines == ["Interrupt", "2"]


def test_a_signal_handler_may_fork_while_a_fork_waits(sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = run(
        sandbox,
        tmp_path,
        _BUSY
        + """
def respawn(number, frame):
    # The ledger is open yet: its child must leave it alone.
    wait(fork(lambda: anyio.run(look)))
    go.set()
signal.signal(signal.SIGHUP, respawn)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGHUP)).start()
wait(fork(lambda: anyio.run(look)))
thread.join(20)
assert not thread.is_alive()
""",
    )
    assert lines[0] == "config.fork"
    assert sorted(lines[1:]) == ["2", "opened"]


def test_after_a_fork_a_file_is_used_by_whoever_had_it_open_wherever_it_lies(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Another file in its place is none of this ledger's, and none is made there."""
    lines = run(
        sandbox,
        tmp_path,
        """
from vavasms.storage.sqlite import connections
sms = VavaSMS(**ACCOUNT, ledger=LEDGER)
sms.send("+2250700000001", "order", idempotency_key="order-1")
folder = os.path.dirname(LEDGER)
os.mkdir(folder + "/old")
def move(first):
    for name in os.listdir(folder):
        if name.startswith(first):
            os.rename(f"{folder}/{name}", f"{folder}/old/{name}")
wait(fork(lambda: None))
move("sms.db")
print(sms.send("+2250700000001", "order", idempotency_key="order-1").replayed)
print(sorted(os.listdir(folder)))
# Moved in the middle of a fork: it cannot be opened again.
LEDGER = folder + "/second.db"
other = VavaSMS(**ACCOUNT, ledger=LEDGER)
other.send("+2250700000001", "second", idempotency_key="order-1")
def rename():
    move("second.db")
    if taken:
        open(LEDGER, "w").close()
for taken in (False, True):
    # As at a fork.
    connections._suspend_all()
    rename()
    connections._resume_all()
    try:
        other.send("+2250700000001", "third", idempotency_key="order-2")
    except VavaSMSError as error:
        print(type(error).__name__, error.outcome.value)
print(sorted(name for name in os.listdir(folder) if name.startswith("second")), os.path.getsize(LEDGER))
""",
    )
    assert lines == [
        "True",
        "['old']",
        "LedgerError not_sent",
        "LedgerError not_sent",
        "['second.db'] 0",
    ]
    assert accepted(sandbox) == ["order", "second"]
