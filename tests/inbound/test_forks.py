"""A receiver that was called once before a fork (gunicorn --preload) serves in the child, and in the parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")]

_FLASK = """
from flask import Flask
from vavasms.inbound.flask import inbound_view
app = Flask("shop")
view = inbound_view(lambda message: None, token=TOKEN, seen=SEEN)
app.add_url_rule("/sms/<token>", view_func=view)
client = app.test_client()

def post(name):
    return client.post(f"/sms/{TOKEN}", data=fields(name)).status_code
"""
_DJANGO = """
import django
from django.conf import settings
from django.urls import path
from vavasms.inbound.django import inbound_view
view = inbound_view(lambda message: None, token=TOKEN, seen=SEEN)
urlpatterns = [path("sms/<str:token>", view)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
django.setup()
from django.test import Client

def post(name):
    return Client().post(f"/sms/{TOKEN}", data=fields(name)).status_code
"""
_FORK = """
print("parent", post("SM-1"), flush=True)
child = os.fork()
if child == 0:
    signal.alarm(40)
    print("child", post("SM-1"), post("SM-2"), flush=True)
    view.close()
    print("closed", post("SM-3"), flush=True)
    view.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", post("SM-2"), post("SM-4"), flush=True)
view.close()
"""
_STORE = """
import anyio
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.errors import ConfigurationError

async def main():
    ledger = await SqliteLedger.open(SEEN)
    child = os.fork()
    if child == 0:
        signal.alarm(40)
        for call in (ledger.statuses, lambda: ledger.add_opt_outs([], source="cli", now=1.0)):
            try:
                await call()
            except ConfigurationError as error:
                print("child", error, flush=True)
        await ledger.aclose()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent", await ledger.statuses(), flush=True)
    await ledger.aclose()

anyio.run(main)
"""


def run(script: str, seen: Path | None) -> list[str]:
    head = f"""
import os, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
signal.alarm(40)
TOKEN, SEEN = "0123456789abcdef0123456789abcdef", {None if seen is None else str(seen)!r}

def fields(name):
    return {{"message_id": name, "form": "+2250700000101", "content": "Bonjour"}}
"""
    command = [sys.executable, "-c", head + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("kept", ["in a file", "in memory"])
@pytest.mark.parametrize("framework", [_FLASK, _DJANGO], ids=["flask", "django"])
def test_a_receiver_that_was_called_before_a_fork_serves_on_both_sides(
    framework: str, kept: str, tmp_path: Path
) -> None:
    lines = run(framework + _FORK, tmp_path / "seen.db" if kept == "in a file" else None)
    assert lines == ["parent 200", "child 200 200", "closed 200", "parent 200 200"]


def test_a_database_that_was_opened_before_a_fork_is_refused_in_the_child(tmp_path: Path) -> None:
    refusal = "child The database was opened before a fork: open it in the child process. Nothing was sent."
    assert run(_STORE, tmp_path / "ledger.db")[:2] == [refusal, refusal]
