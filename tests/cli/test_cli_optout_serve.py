"""`optouts serve`: a shopkeeper's page behind a proxy, and the campaigns whose links lead to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from vavasms.inbound.optout.guesses import BURST
from vavasms.ledger.optout_codes import EXAMPLE, draw_code
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.numbers import Msisdn
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
PERSON = Msisdn("2250700000101")
URL = "https://sms.example.ci/d/"


@pytest.fixture(autouse=True)
def ledger(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    (tmp_path / "contacts.csv").write_text(f"nom;tel\nAwa;{PERSON}\nZoé;2250700000102\n", "utf-8")
    return tmp_path / "ledger.db"


@pytest.fixture
def code(ledger: Path) -> str:
    async def issue() -> str:
        async with await SqliteLedger.open(ledger) as opened:
            return (await opened.optout_codes.issue([PERSON]))[PERSON]

    return anyio.run(issue)


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield it and where its page is."""
    command = [sys.executable, "-m", "vavasms", "optouts", "serve", "--port", "0", *options]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            introduction = ""
            # Whoever reads on after the process ended does not see what was read ahead.
            while not re.search(r'"\}|export .*\n', introduction):
                line = process.stdout.readline()
                assert line, process.communicate()
                introduction += line
            found = re.search(r"http://[\d.:\[\]a-f]+/", introduction)
            assert found
            yield process, found[0]
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("prefix", ["", "d/"])
def test_the_page_opts_out_of_the_campaigns_of_the_ledger(inside: Run, code: str, prefix: str) -> None:
    with serving("--name", "Boutique Awa") as (process, url), httpx.Client(trust_env=False) as client:
        link = f"{url}{prefix}{code}"
        assert "Boutique Awa" in client.get(link).text
        assert client.post(link, data={"choice": "stop"}).status_code == 200
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    # Of what is pressed nothing is told.
    assert printed == ""
    listed = inside("optouts", "list")
    assert f"+{PERSON}" in listed.stdout
    assert "by link" in listed.stdout
    assert json.loads(inside("optouts", "list", "--json").stdout)["source"] == "link"


@pytest.mark.slow
def test_a_proxy_of_this_machine_needs_no_naming_and_one_elsewhere_does(code: str) -> None:
    with (
        serving("--json", "--trusted-proxy", "10.0.0.1") as (_process, url),
        httpx.Client(trust_env=False) as client,
    ):

        def ask(path: str, forwarded: str) -> int:
            return client.get(f"{url}{path}", headers={"X-Forwarded-For": forwarded}).status_code

        for _ in range(BURST):
            assert ask(draw_code(), "1.2.3.4, 10.0.0.1") == 404
        assert ask(code, "1.2.3.4, 10.0.0.1") == 429
        assert ask(code, "1.2.3.5, 10.0.0.1") == 200


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_page_that_others_reach_by_plain_http_is_warned_of() -> None:
    with serving("--host", "0.0.0.0") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        _printed, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "put a proxy with HTTPS before it" in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--port", "65536"), "from 0 to 65535"),
        (("--host", "shop.example"), "no IP address"),
        (("--trusted-proxy", "nginx"), "no address and no network"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(
    inside: Run, options: tuple[str, ...], words: str
) -> None:
    finished = inside("optouts", "serve", *options)
    assert finished.returncode == 2
    assert words in finished.stderr
    assert finished.stderr.count("\n") <= 2


def plan(inside: Run, message: str, *options: str) -> subprocess.CompletedProcess[str]:
    return inside("campaign", "plan", "contacts.csv", "--message", message, *options)


def test_a_plan_shows_the_link_and_the_command_that_sends_it(inside: Run, ledger: Path) -> None:
    finished = plan(inside, "Promo. Stop: {desinscription}", "--opt-out-url", "https://sms.example.ci/d")
    assert (finished.returncode, finished.stderr) == (0, "")
    text = " ".join(finished.stdout.split())
    assert f"Promo. Stop: {URL}{EXAMPLE}" in text
    assert "--opt-out-url https://sms.example.ci/d" in text
    found = json.loads(plan(inside, "{desinscription}", "--opt-out-url", URL, "--json").stdout)
    assert (found["requests"], found["has_opt_out_link"]) == (2, True)
    assert not ledger.exists()


def test_the_page_is_a_setting_too(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = plan(inside, "{desinscription}")
    assert refused.returncode == 2
    assert "no page is named for it: add --opt-out-url https://sms.example.ci/d/" in " ".join(
        refused.stderr.split()
    )
    monkeypatch.setenv("VAVASMS_OPT_OUT_URL", URL)
    assert plan(inside, "{desinscription}").returncode == 0
    monkeypatch.setenv("VAVASMS_OPT_OUT_URL", "http://sms.example.ci/")
    refused = plan(inside, "Bonjour")
    assert (refused.returncode, "no address of an opt-out page" in refused.stderr) == (2, True)


def test_many_texts_with_links_are_many_requests_and_the_plan_says_why(inside: Run, tmp_path: Path) -> None:
    rows = "".join(f"2250700000{place}\n" for place in range(100, 160))
    (tmp_path / "contacts.csv").write_text(f"tel\n{rows}", "utf-8")
    text = plan(inside, "{desinscription}", "--opt-out-url", URL).stdout
    assert "Each text has a link of its own, so each needs a request: 60 requests" in " ".join(text.split())


def test_a_campaign_is_sent_with_links_and_its_test_has_ones_own(
    inside: Run, account: Mapping[str, str], server: SandboxServer, ledger: Path
) -> None:
    own = "2250700000131"
    finished = inside(
        *("campaign", "run", "contacts.csv", "--message", "Stop: {desinscription}", "--opt-out-url", URL),
        *("--test-to", own, "--yes"),
    )
    assert finished.returncode == 0, finished.stderr
    codes = {entry.to: entry.message.removeprefix(f"Stop: {URL}") for entry in server.gateway.journal.entries}
    assert sorted(codes) == [PERSON, "2250700000102", own]

    async def check() -> None:
        async with await SqliteLedger.open(ledger) as opened:
            for recipient, code in codes.items():
                holder = await opened.optout_codes.find(code)
                assert holder is not None
                assert holder.recipient == recipient

    anyio.run(check)
