"""Kill -9 the desk while a campaign runs from it: never twice, never lost, and each page after it is true."""

from __future__ import annotations

import html
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from attrs import define, field, frozen

from tests.cli.processes import start
from vavasms.ledger.base import Ledger
from vavasms.ledger.models import CampaignStatus, StoredBatch
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchState, CampaignState
from vavasms.sandbox import Fault, FaultKind, Gateway, Moment, SandboxServer

pytestmark = pytest.mark.slow
T = TypeVar("T")

ROOT = Path(__file__).parents[2]
#: Of a campaign: so many people, and so many messages a second, in batches of a hundred.
RECIPIENTS, RATE = 6_000, "2500"
#: Seconds after which a desk that does not answer is taken for stuck.
PATIENCE = 60.0
_TOKEN = re.compile(r'data-token="([0-9a-f]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_COUNT = re.compile(r'<dd data-testid="([a-z-]+)">([\d,]+)</dd>')
_STATE = re.compile(r'data-testid="state">(\w+)<')
_SHOWN = re.compile(r'name="batch" value="([^"]+)"')
_OVER = (CampaignState.DONE, CampaignState.CANCELLED)


@define
class Toll:
    """What the kills came to; all but the first two are recipients."""

    kills: int = 0
    campaigns: int = 0
    recipients: int = 0
    #: In no outcome or in two; accepted by the ledger's word and not by the gateway, or the other way round.
    lost: int = 0
    twice: int = 0
    #: Left unknown by the kills; of these the gateway had so many.
    unknown: int = 0
    arrived: int = 0
    #: Pages that said anything else than the ledger.
    false_pages: list[str] = field(factory=list)


@define
class Page:
    """A page of a campaign as a person sees it."""

    text: str

    @property
    def state(self) -> str:
        """The state that it tells."""
        found = _STATE.search(self.text)
        return "" if found is None else found[1]

    @property
    def counts(self) -> dict[str, int]:
        """The outcomes that it tells."""
        return {name: int(n.replace(",", "")) for name, n in _COUNT.findall(self.text)}

    def says(self, status: CampaignStatus) -> bool:
        """Return whether it tells what a ledger has."""
        told = {
            "accepted": status.accepted,
            "rejected": status.rejected,
            "not-sent": status.not_sent,
            "unknown": status.unknown,
            "left": status.queued + status.sending,
        }
        return (self.state, self.counts) == (status.state.value, told)


@define
class Browser:
    """A browser that was let in by the link."""

    http: httpx.Client

    @property
    def origin(self) -> str:
        """Where its pages come from."""
        return str(self.http.base_url).rstrip("/")

    def see(self, path: str) -> str:
        """Return a page."""
        reply = self.http.get(path, follow_redirects=True)
        assert reply.status_code == 200, reply.text
        return reply.text

    def press(self, path: str, page: str, **typed: Any) -> None:
        """Send a form of a page, with what is hidden in it."""
        form = page.partition(f'action="{path}"')[2].partition("</form>")[0]
        token = _TOKEN.search(page)
        assert token is not None
        fields = {"token": token[1], **{name: html.unescape(value) for name, value in _HIDDEN.findall(form)}}
        reply = self.http.post(path, data=fields | typed, headers={"Origin": self.origin})
        assert reply.status_code == 303, reply.text

    def wait(self, path: str, is_there: Callable[[str], object]) -> str:
        """Load a page again until it has something."""
        deadline = time.monotonic() + PATIENCE
        while not is_there(page := self.see(path)):
            assert time.monotonic() < deadline, page
            time.sleep(0.05)
        return page

    def begin(self, phones: list[str]) -> str:
        """Drop a list, write a text, look at the plan, and give the go; return the campaign's path."""
        token = _TOKEN.search(self.see("/"))
        assert token is not None
        headers = {"Origin": self.origin, "X-Desk-Token": token[1], "X-File-Name": "list.csv"}
        reply = self.http.post("/lists", content="\n".join(["phone", *phones]).encode(), headers=headers)
        draft = str(reply.json()["location"])
        page = self.wait(draft, lambda page: 'name="message"' in page)
        self.press(draft, page, message=f"Bonjour à {phones[0]}", rate=RATE, do="plan")
        page = self.wait(f"{draft}/plan", lambda page: 'data-testid="go"' in page)
        self.press(f"{draft}/go", page, count=str(len(phones)))
        self.wait(f"{draft}/plan", lambda page: 'data-testid="state"' in page)
        reply = self.http.get(f"{draft}/plan")
        return str(reply.headers["location"])


@frozen
class Stage:
    """A gateway in this process, and a ledger for desks in others."""

    gateway: SandboxServer
    path: Path

    @contextmanager
    def desk(self) -> Iterator[tuple[Browser, subprocess.Popen[str]]]:
        """Open a desk, and enter it."""
        command = [
            sys.executable,
            "-m",
            "vavasms",
            "desk",
            "--port",
            "0",
            "--ledger",
            str(self.path),
            "--json",
        ]
        account = {**self.gateway.settings, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        environment = {**os.environ, **account, "PYTHONPATH": str(ROOT), "VAVASMS_LANG": "en"}
        with start(command, env=environment, cwd=self.path.parent) as process:
            assert process.stdout is not None
            url = httpx.URL(json.loads(process.stdout.readline())["url"])
            with httpx.Client(base_url=url.copy_with(path="/", query=None), trust_env=False) as http:
                assert http.get(url).status_code == 200
                yield Browser(http), process

    def ask(self, question: Callable[[Ledger], Any]) -> Any:
        """Ask the ledger something, beside the desk."""

        async def call() -> Any:
            async with await SqliteLedger.open(self.path) as ledger:
                return await question(ledger)

        return anyio.run(call)

    def status(self, campaign: str) -> CampaignStatus:
        """Count the recipients of a campaign."""
        found: CampaignStatus = self.ask(lambda ledger: ledger.status(campaign))
        return found

    def batches(self, campaign: str) -> list[StoredBatch]:
        """Return all its batches."""
        return list(self.ask(lambda ledger: ledger.batches(campaign, after=-1, limit=10_000)))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with slow_stage(tmp_path) as stage:
        yield stage


@contextmanager
def slow_stage(folder: Path) -> Iterator[Stage]:
    """Yield a gateway that takes its time before it accepts, and before it answers."""
    with SandboxServer(Gateway(balance=10**12)) as gateway:
        slow = {
            Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.1): 0.4,
            Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.2): 0.6,
        }
        gateway.faults.set_rates(slow, seed=1)
        yield Stage(gateway, folder / "ledger.db")


def test_requests_that_break_off_print_nothing_and_hold_nothing_up(stage: Stage) -> None:
    with stage.desk() as (browser, process), ExitStack() as sockets:
        token = _TOKEN.search(browser.see("/"))
        assert token is not None
        head = [
            "POST /lists HTTP/1.1",
            f"Host: {browser.origin.removeprefix('http://')}",
            f"Origin: {browser.origin}",
            "Cookie: " + "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items()),
            f"X-Desk-Token: {token[1]}",
            "Content-Length: 1000",
            "\r\n",
        ]
        sent = ("\r\n".join(head) + "0707000001").encode()
        for part in (sent, sent[:20], sent):
            connection = socket.create_connection(("127.0.0.1", browser.http.base_url.port), PATIENCE)
            connection.sendall(part)
            sockets.enter_context(connection)
        # One browser goes away, two are stuck in the midst when the desk is closed.
        connection.close()
        browser.see("/")
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read().splitlines() == [
            "Closing the desk: finishing what is under way. Ctrl-C again does not wait."
        ]


def kill_some(stage: Stage, kills: int, *, seed: int) -> Toll:
    """Kill desks in the midst of one campaign after the other."""
    draw, toll = random.Random(seed), Toll()
    while toll.kills < kills:
        first = 2250700100000 + toll.campaigns * RECIPIENTS
        phones = [str(first + index) for index in range(RECIPIENTS)]
        toll.campaigns += 1
        toll.recipients += RECIPIENTS
        _send_and_kill(stage, phones, kills, draw, toll)
    print(toll)
    return toll


def _send_and_kill(stage: Stage, phones: list[str], kills: int, draw: random.Random, toll: Toll) -> None:
    with stage.desk() as (browser, process):
        path = browser.begin(phones)
        toll.kills += _kill_in_the_midst(stage, process, draw)
    campaign, is_over = path.rpartition("/")[2], False
    while not is_over:
        with stage.desk() as (browser, process):
            page = _check_page(stage, browser, path, toll)
            if page.state == "paused":
                browser.press(f"{path}/go-on", page.text)
                if toll.kills < kills:
                    toll.kills += _kill_in_the_midst(stage, process, draw)
                    continue
                browser.wait(path, lambda text: Page(text).state == "done")
                page = _check_page(stage, browser, path, toll)
            is_over = True
            _audit(stage, campaign, phones, toll)
            _mark_all(stage, browser, path)
            _check_page(stage, browser, path, toll)
    _audit_marked(stage, campaign, phones, toll)


def _kill_in_the_midst(stage: Stage, process: subprocess.Popen[str], draw: random.Random) -> bool:
    """Kill a desk some moments after it had something accepted; False where it had ended by itself."""
    journal = stage.gateway.gateway.journal
    if draw.random() < 0.8:
        journal.wait_for(len(journal) + 1)
    time.sleep(draw.uniform(0.0, 0.6))
    process.kill()
    is_killed = process.wait(10) == -9
    # What it had handed over may still be accepted.
    time.sleep(0.3)
    return is_killed


def _check_page(stage: Stage, browser: Browser, path: str, toll: Toll) -> Page:
    """Return the page of a campaign that stands still; note where it tells anything else than the ledger."""
    page, status = Page(browser.see(path)), stage.status(path.rpartition("/")[2])
    if not page.says(status) or page.state == "running":
        toll.false_pages.append(f"{page.state} {page.counts} {status}")
    return page


def _mark_all(stage: Stage, browser: Browser, path: str) -> None:
    """Mark as sent what is unknown, as much at a time as the page shows."""
    while shown := _SHOWN.findall(page := browser.see(path)):
        browser.press(f"{path}/decide", page, batch=shown, decision="sent")


def _audit(stage: Stage, campaign: str, phones: list[str], toll: Toll) -> None:
    """Hold the ledger against the journal: what it says for certain is so."""
    counts, batches = stage.gateway.gateway.journal.counts(), stage.batches(campaign)
    held = Counter(str(phone) for batch in batches for phone, _why in batch.recipients)
    toll.lost += sum(held[phone] != 1 for phone in phones) + len(held.keys() - set(phones))
    for batch in batches:
        had = [counts.get(str(phone), 0) for phone, _why in batch.recipients]
        if batch.state is BatchState.UNKNOWN:
            toll.unknown += len(had)
            toll.arrived += sum(map(bool, had))
        else:
            toll.lost += sum(bool(n) != (batch.state is BatchState.ACCEPTED) for n in had)


def _audit_marked(stage: Stage, campaign: str, phones: list[str], toll: Toll) -> None:
    """Count who got two, and who is in no outcome after all."""
    counts, status = stage.gateway.gateway.journal.counts(), stage.status(campaign)
    toll.twice += sum(counts.get(phone, 0) > 1 for phone in phones)
    toll.lost += len(phones) - status.accepted
    assert status.state in _OVER, status


def test_five_kills_of_the_desk_send_nothing_twice_and_lose_nobody(stage: Stage) -> None:
    toll = kill_some(stage, 5, seed=5)
    assert (toll.twice, toll.lost, toll.false_pages) == (0, 0, [])
    assert toll.unknown > 0


@pytest.mark.full
def test_fifty_kills_of_the_desk_send_nothing_twice_and_lose_nobody(stage: Stage) -> None:
    toll = kill_some(stage, 50, seed=50)
    assert (toll.twice, toll.lost, toll.false_pages) == (0, 0, [])
    assert toll.unknown >= toll.arrived > 0
