"""A project outside this repository, made by the guide's own lines, under the servers that people run."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg
import pytest
from attrs import frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.documents import Document
from vavasms.sandbox import SandboxServer

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "vavasms/guide/en/django.md"
SERVERS = {
    "gunicorn": ("gunicorn", "boutique.wsgi", "--preload", "--workers", "4", "--bind", "127.0.0.1:{port}"),
    "uvicorn": ("uvicorn", "boutique.asgi:application", "--port", "{port}", "--log-level", "warning"),
}
#: A client that the parent has used before it forks its workers.
USED_BEFORE = "\nfrom vavasms.django import get_sms\n\nget_sms().balance()\n"
POSTS, ORDERS = 4, (42, 43, 44)
#: What a person does by `manage.py`, in one process.
PREPARE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "boutique.settings"
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("check")
call_command("makemigrations", "--check", verbosity=0)
call_command("migrate", verbosity=0)
User.objects.create_superuser("awa", password="mot")
from vavasms.django import enqueue
enqueue("+2250700000001", "Bonjour", idempotency_key="bonjour")
"""


@frozen(kw_only=True)
class Project:
    """A project in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        """Run `python …` in it."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator[Path]:
        """Keep a program running while the block does; yield the file of what it prints."""
        log = self.folder / f"{words[0]}.log"
        with (
            log.open("wb") as file,
            subprocess.Popen(
                [sys.executable, "-m", *words] if words[0] in SERVERS else [sys.executable, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield log
                process.terminate()
                assert process.wait(30) in (0, -signal.SIGTERM), log.read_text()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, which is all that installing a pure one is."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [built] = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def project(request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path) -> Iterator[Project]:
    """Make the project of the guide; on PostgreSQL its database is the ledger."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("VAVASMS_", "DJANGO_"))}
    site = request.getfixturevalue("wheel") if request.node.get_closest_marker("full") else ROOT
    made = Project(
        folder=tmp_path,
        environment=own | sandbox.settings | {"PYTHONPATH": str(site), "VAVASMS_LANG": "en"},
    )
    blocks = [*Document(GUIDE).blocks()]
    (start,) = [block.code for block in blocks if "startproject" in block.code]
    start = start.replace("python ", f"'{sys.executable}' ", 1)
    subprocess.run(["sh", "-e", "-c", start], cwd=tmp_path, env=made.environment, check=True, timeout=60)
    for block in blocks:
        name = block.marked("file")
        if name is not None:
            (tmp_path / name).write_text(block.code, encoding="utf-8")
    with (tmp_path / "boutique/wsgi.py").open("a") as file:
        file.write(USED_BEFORE)
    if request.param == "sqlite":
        yield made
        return
    with new_database(request.getfixturevalue("postgres")) as url:
        _use(tmp_path / "boutique/settings.py", url)
        yield made


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Make a database of its own for a project, and drop it."""
    name = f"boutique_{token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield make_conninfo(server, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _use(settings: Path, url: str) -> None:
    """Put the project into a database, and the ledger into the same."""
    parts = conninfo_to_dict(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "HOST": parts.get("host", ""),
        "PASSWORD": parts.get("password", ""),
        "PORT": str(parts.get("port", "")),
    }
    with settings.open("a") as file:
        file.write(f"\nDATABASES = {{'default': {database!r}}}\nVAVASMS = {{'DATABASE': 'default'}}\n")


@contextmanager
def served(project: Project, server: str) -> Iterator[str]:
    """Serve the project, and yield its address once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with project.running(*(word.format(port=port) for word in SERVERS[server])) as log:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/admin/login/")
            except httpx.TransportError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            else:
                break
        yield f"http://127.0.0.1:{port}"


def check(project: Project, server: str, sandbox: SandboxServer) -> None:
    """Send what is enqueued by the worker, post each order several times at once, look at the admin."""
    project.run("-W", "error", "-c", PREPARE)
    with project.running("manage.py", "vavasms_worker") as log:
        deadline = time.monotonic() + 30
        while not sandbox.gateway.journal.entries:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    assert "finishing what is under way" in log.read_text()
    with served(project, server) as origin, ThreadPoolExecutor(16) as pool:
        urls = [f"{origin}/orders/{order}/shipped" for order in ORDERS] * POSTS
        answers = [*pool.map(lambda url: httpx.post(url, timeout=30), urls)]
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        assert sum(not answer.json()["replayed"] for answer in answers) == len(ORDERS)
        with httpx.Client() as browser:
            log_in(browser, origin)
            page = browser.get(f"{origin}/admin/vavasms/singlesend/").text
    assert all(f"order-{order}-shipped" in page for order in ORDERS)
    assert len(re.findall("<td>accepted</td>", page)) == 1 + len(ORDERS)
    sent = Counter(entry.message for entry in sandbox.gateway.journal.entries)
    assert sent == {"Bonjour": 1, **{f"Votre commande {order} est partie.": 1 for order in ORDERS}}


def log_in(browser: httpx.Client, origin: str) -> None:
    """Log the superuser in."""
    page = browser.get(f"{origin}/admin/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    form = {"csrfmiddlewaretoken": token[1], "username": "awa", "password": "mot", "next": "/admin/"}
    assert browser.post(f"{origin}/admin/login/", data=form).status_code == 302


pytestmark = pytest.mark.skipif(os.name != "posix", reason="gunicorn forks")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("project", "server"), [("sqlite", "uvicorn"), ("postgres", "gunicorn")], indirect=["project"]
)
def test_a_view_that_is_posted_many_times_sends_once(
    project: Project, server: str, sandbox: SandboxServer
) -> None:
    pytest.importorskip(server)
    check(project, server, sandbox)


@pytest.mark.full
@pytest.mark.parametrize("project", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("server", SERVERS)
def test_the_wheel_does_the_same(project: Project, server: str, sandbox: SandboxServer) -> None:
    pytest.importorskip(server)
    check(project, server, sandbox)
    where = project.run("-c", "import vavasms; print(vavasms.__file__)")
    assert not Path(where.strip()).is_relative_to(ROOT)
