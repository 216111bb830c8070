"""A task that is killed and run again sends one SMS: the guide's own tasks, in the workers of their queues."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import django
import psycopg
import pytest
from attrs import frozen
from psycopg.conninfo import make_conninfo

import vavasms
from tests.documents import Document
from vavasms import Outcome, VavaSMS
from vavasms.sandbox import Answer, Gateway, SandboxServer

ROOT = Path(__file__).parents[2]
CHAPTER = Path(vavasms.__file__).parent / "guide/en/queues.md"
PHONE = "+2250709000001"
BROKER = "redis://127.0.0.1:6379/0"
PATIENCE = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signals"),
]

in_each_moment = pytest.mark.parametrize("moment", ["after the send", "during the send"])


class Killer(Gateway):
    """A gateway that takes an SMS, and may kill the process that sent it before it answers."""

    def __init__(self, folder: Path, *, kills: bool) -> None:
        super().__init__()
        self._started, self._kills = folder / "started", kills

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        answer = super().handle(path, fields)
        if self._kills and "message" in fields:
            self._kills = False
            os.kill(int(self._started.read_text().split()[0]), signal.SIGKILL)
        return answer


@frozen
class Shop:
    """A folder with the guide's task, and what its workers see."""

    folder: Path
    gateway: Gateway
    environment: dict[str, str]

    def write(self, name: str, **changes: str) -> None:
        """Write a file of the chapter; where it differs, `changes` say it."""
        [code] = [block.code for block in Document(CHAPTER).blocks() if block.marked("file") == name]
        for written, here in changes.items():
            assert written in code
            code = code.replace(written, here)
        shutil.copy(Path(__file__).with_name("killed.py"), self.folder)
        (self.folder / name).write_text(f"import killed\n{code}", encoding="utf-8")

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        finished = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr

    @contextmanager
    def working(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker, and end it with its children."""
        with (self.folder / "printed").open("ab") as printed:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

    def calls(self, name: str) -> list[str]:
        """Return what was noted of the calls."""
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def wait_for_second_run(self, moment: str) -> None:
        """Wait until the task has ended in a process that nobody killed."""
        ends, deadline = 2 if moment == "after the send" else 1, time.monotonic() + PATIENCE
        while len(self.calls("ended")) < ends:
            assert time.monotonic() < deadline, (self.folder / "printed").read_text("utf-8")
            time.sleep(0.05)

    def check(self, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Find one SMS, and what the second run was told."""
        assert len(self.gateway.journal) == 1
        pids = self.calls("started")
        assert len(pids) == 2
        assert len(set(pids)) == 2
        for name in (each for each in self.environment if each.startswith("VAVASMS_")):
            monkeypatch.setenv(name, self.environment[name])
        with VavaSMS(ledger=self.folder / "sms/ledger.db") as sms:
            record = sms.sent("order-42-shipped")
        assert record is not None
        if moment == "after the send":
            assert self.calls("ended") == ["sent", "replayed"]
            assert record.outcome is Outcome.ACCEPTED
        else:
            assert self.calls("ended") == ["OutcomeUnknownError"]
            assert record.outcome is Outcome.UNKNOWN


@pytest.fixture
def shop(tmp_path: Path, moment: str) -> Iterator[Shop]:
    gateway = Killer(tmp_path, kills=moment == "during the send")
    with SandboxServer(gateway) as server:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("VAVASMS_")}
        environment = bare | dict(server.settings) | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        yield Shop(tmp_path, gateway, environment)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The URL of a broker that speaks Redis, in a process of its own."""
    pytest.importorskip("lupa", reason="its Lua has no wheel for this Python")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = (
        "from fakeredis import TcpFakeServer\n"
        f"server = TcpFakeServer(('127.0.0.1', {port}), server_type='redis')\n"
        "server.daemon_threads = True\n"
        "server.serve_forever()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """A database of the queue's own."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop_queue")
        try:
            yield make_conninfo(postgres, dbname="shop_queue")
        finally:
            connection.execute("DROP DATABASE shop_queue WITH (FORCE)")


def enqueue(shop: Shop, module: str, method: str) -> None:
    shop.run("-c", f"from {module} import send_shipped; send_shipped.{method}(42, {PHONE!r})")


@in_each_moment
def test_celery(shop: Shop, redis: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write("celery_tasks.py", **{BROKER: redis})
    enqueue(shop, "celery_tasks", "delay")
    with shop.working("-m", "celery", "-A", "celery_tasks", "worker", "--concurrency", "2"):
        # The child is killed, and its parent gives the task to another one.
        shop.wait_for_second_run(moment)
    shop.check(moment, monkeypatch)


@in_each_moment
def test_dramatiq(shop: Shop, redis: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(
        "dramatiq_tasks.py",
        # What a dead worker had is given to another after a second, not a minute.
        **{f'url="{BROKER}"': f'url="{redis}", heartbeat_timeout=1_000, maintenance_chance=1_000_000'},
    )
    enqueue(shop, "dramatiq_tasks", "send")
    command = ("-m", "dramatiq", "dramatiq_tasks", "--processes", "1", "--threads", "2")
    with shop.working(*command) as first:
        # A process that is killed ends the others.
        first.wait(PATIENCE)
    time.sleep(1.1)
    with shop.working(*command):
        shop.wait_for_second_run(moment)
    shop.check(moment, monkeypatch)


SETTINGS = """
SECRET_KEY = "a key of a test"
INSTALLED_APPS = ["django_tasks_db"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
USE_TZ = True
"""


@in_each_moment
def test_django_tasks(shop: Shop, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {} if django.VERSION >= (6,) else {"from django.tasks": "from django_tasks"}
    shop.write("django_queue.py", **changes)
    (shop.folder / "settings.py").write_text(SETTINGS)
    shop.environment["DJANGO_SETTINGS_MODULE"] = "settings"
    shop.run("-m", "django", "migrate")
    once = f"import django; django.setup(); from django_queue import send_shipped; send_shipped.enqueue(42, {PHONE!r})"
    command = ("-m", "django", "db_worker", "--interval", "0.1", "--no-startup-delay", "--no-reload")
    shop.run("-c", once)
    with shop.working(*command) as first:
        first.wait(PATIENCE)
    # It is not run again by itself: whoever misses it enqueues it once more.
    shop.run("-c", once)
    with shop.working(*command):
        shop.wait_for_second_run(moment)
    shop.check(moment, monkeypatch)


@in_each_moment
def test_procrastinate(shop: Shop, database: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(
        "procrastinate_tasks.py",
        **{
            'conninfo="dbname=shop"': f"conninfo={database!r}",
            # A worker that was not heard of for a second is taken for dead, not for half a minute.
            "get_stalled_jobs()": "get_stalled_jobs(seconds_since_heartbeat=1)",
        },
    )
    command = ("-m", "procrastinate", "--app=procrastinate_tasks.app")
    shop.run(*command, "schema", "--apply")
    shop.run(*command, "defer", "procrastinate_tasks.send_shipped", f'{{"order": 42, "phone": "{PHONE}"}}')
    with shop.working(*command, "worker") as first:
        first.wait(PATIENCE)
    time.sleep(1.1)
    # What the clock does every minute.
    shop.run(
        *command,
        "defer",
        "--ignore-already-enqueued",
        "procrastinate_tasks.retry_stalled",
        '{"timestamp": 0}',
    )
    with shop.working(*command, "worker"):
        shop.wait_for_second_run(moment)
    shop.check(moment, monkeypatch)
