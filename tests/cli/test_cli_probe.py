"""`vavasms probe`: finds each of the gateways that it is put before, for no more than it said."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from tests.cli.processes import start
from vavasms.cli.commands.sandbox_serve import play
from vavasms.profile.file import read_profile
from vavasms.profile.models import GatewayProfile, Oversize
from vavasms.sandbox import Answer, Gateway, SandboxServer
from vavasms.sandbox.delivery import DeliveryPlan
from vavasms.sandbox.gateway import BALANCE, TEXT
from vavasms.sandbox.replies import NOT_FOUND

Run = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "correct-horse-battery"
OWN = "2250700000001"
FILE = Path("vavasms-profile.toml")
QUICK = {"sent": 0.0, "delivered": 1.5}


class Watched(Gateway):
    """A gateway that notes each text that is posted, and stops at one of them, before or after its work."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.posts: list[tuple[str, str]] = []
        #: At which text, or at which asking for a status, it stops; none.
        self.stop_at = self.stop_at_status = 0
        #: The text that it accepts, and answers by a page of an error.
        self.fail_at = 0
        self.accepts_first = True
        self.statuses = 0
        self.arrived, self.released = threading.Event(), threading.Event()

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        if path == BALANCE:
            return super().handle(path, fields)
        is_text = path == TEXT and "message" in fields
        if is_text:
            self.posts.append((fields["message"], fields["phone"]))
        else:
            self.statuses += 1
        if is_text and len(self.posts) == self.fail_at:
            super().handle(path, fields)
            return Answer(http_status=500, body=b"<h1>500</h1>")
        if not (len(self.posts) == self.stop_at if is_text else self.statuses == self.stop_at_status):
            return super().handle(path, fields)
        answer = super().handle(path, fields) if self.accepts_first else NOT_FOUND
        self.arrived.set()
        assert self.released.wait(60)
        return answer


@frozen
class SeenDelivery(DeliveryPlan):
    """A delivery that begins when it is first asked about: no word is over before a slow machine asks."""

    looks: list[float] = field(factory=list)

    def status(self, phone: str, age: float) -> str | None:
        self.looks.append(age)
        return super().status(phone, age - self.looks[0])


@contextmanager
def serving(profile: GatewayProfile, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> Iterator[Watched]:
    """Serve a gateway of a profile, with its account in the environment."""
    gateway = Watched(password=PASSWORD, **play(profile))
    if rules:
        gateway.rules = evolve(gateway.rules, **rules)
    if profile.statuses:
        gateway.delivery = SeenDelivery(0.0, 0.0, words=tuple(profile.statuses.items()))
    with SandboxServer(gateway) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield gateway


def paid(gateway: Gateway) -> int:
    """Count the SMS that the gateway sent."""
    return sum(entry.segments * entry.recipients for entry in gateway.journal.entries)


def probe(
    run: Run, *words: str, spend: int = 6, pace: float = 0.0, wait: float = 20.0
) -> list[dict[str, Any]]:
    options = ("--spend", str(spend), "--pace", str(pace), "--wait", str(wait), "--yes", "--json", *words)
    finished = run("probe", "--to", f"+{OWN}", *options)
    assert PASSWORD not in finished.stdout + finished.stderr
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def known(**facts: Any) -> GatewayProfile:
    """Return a gateway whose other facts are those of most."""
    usual: dict[str, Any] = {
        "status_path": "/v1/text/single",
        "lots_are_atomic": True,
        "unit_price": Decimal(10),
        "unit_price_ucs2": Decimal(10),
        "price_is_per_segment": True,
        "statuses": QUICK,
    }
    return GatewayProfile(**(usual | facts))


LIMITED = {"batch_size_is_limit": True, "oversize": Oversize.REFUSED}
#: The gateway, how it looks at recipients, the SMS that it may cost, and what is found of how many it takes.
GATEWAYS: Mapping[str, tuple[GatewayProfile, dict[str, Any], int, dict[str, Any]]] = {
    "takes 20": (known(batch_size=20, **LIMITED), {}, 6, {"batch_size": 20, **LIMITED}),
    "takes 100, lots not atomic": (
        known(batch_size=100, lots_are_atomic=False, **LIMITED),
        {},
        6,
        {"batch_size": 100, **LIMITED},
    ),
    "no status call": (
        known(status_path=None, has_status_call=False, statuses={}, batch_size=50, **LIMITED),
        {},
        6,
        {"batch_size": 50, **LIMITED},
    ),
    "another path": (
        known(status_path="/v1/message/status", batch_size=2, **LIMITED),
        {},
        6,
        {"batch_size": 2, **LIMITED},
    ),
    # A lot of two is refused for its size: what would become of one with a bad number nobody learns.
    "takes one": (known(lots_are_atomic=None, batch_size=1, **LIMITED), {}, 6, {"batch_size": 1, **LIMITED}),
    "dear Unicode": (
        known(unit_price=Decimal("12.5"), unit_price_ucs2=Decimal("15.25"), batch_size=64, **LIMITED),
        {},
        6,
        {"batch_size": 64, **LIMITED},
    ),
    "one price a text": (
        known(price_is_per_segment=False),
        {},
        6,
        {"batch_size": 2, "batch_size_is_limit": False},
    ),
    "drops those beyond 3": (
        known(batch_size=3, batch_size_is_limit=True, oversize=Oversize.DROPPED),
        {},
        20,
        {"batch_size": 3, "batch_size_is_limit": True, "oversize": Oversize.DROPPED},
    ),
    "looks at numbers first, takes 6": (
        known(batch_size=6, **LIMITED),
        {"counts_first": False},
        30,
        {"batch_size": 6, **LIMITED},
    ),
    "takes any number": (known(lots_are_atomic=False), {}, 12, {"batch_size": 4, "batch_size_is_limit": False}),
    "other words": (
        known(statuses={"EN COURS": 0.0, "delivered": 1.5}, batch_size=10, **LIMITED),
        {},
        6,
        {"batch_size": 10, **LIMITED},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", GATEWAYS)
def test_each_gateway_is_found_for_no_more_than_was_said(
    name: str, inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, rules, spend, sizes = GATEWAYS[name]
    with serving(profile, monkeypatch, **rules) as gateway:
        *_steps, end = probe(inside, spend=spend)
        found, entries = read_profile(FILE), [*gateway.journal.entries]
        assert (end["spent"], end["may_have_spent"]) == (paid(gateway), 0)
        assert paid(gateway) <= spend
        assert {phone for entry in entries for phone in entry.phones} == {OWN}
        texts = [entry.message for entry in entries]
        assert len(texts) == len(set(texts))
        # What was only seen to hold up to a number is not said to end there.
        expected = evolve(profile, batch_size=None, batch_size_is_limit=None, oversize=None)
        # As many as were answered within a second: fewer where the machine stood still.
        pace = found.requests_per_second
        assert pace is not None
        assert 1 <= pace <= 20
        expected = evolve(
            expected,
            **sizes,
            gateway="loopback",
            requests_per_second=pace,
            requests_per_second_is_limit=False,
        )
        assert evolve(found, statuses={}) == evolve(expected, statuses={})
        assert [*found.statuses] == [*profile.statuses]
        for word, age in profile.statuses.items():
            assert age <= found.statuses[word] < age + 30
        assert end["profile"]["unit_price"] == float(profile.unit_price or 0)
        # Once more: what is known costs nothing.
        probe(inside, spend=spend)
        assert [*gateway.journal.entries] == entries
        assert read_profile(FILE) == found


@pytest.mark.usefixtures("account")
def test_a_profile_of_another_gateway_is_not_added_to(inside: Run, server: SandboxServer) -> None:
    FILE.write_text('gateway = "vavasms.com"\nunit_price = 12\n')
    finished = inside("probe", "--to", OWN, "--spend", "6", "--yes")
    assert finished.returncode == 2
    assert (
        f"{FILE} is of vavasms.com, not of loopback: name another file. Nothing was sent" in finished.stderr
    )
    assert "unit_price = 12" in FILE.read_text()
    assert len(server.gateway.journal) == 0


@pytest.mark.slow
def test_the_pace_of_a_gateway_is_found(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = known(batch_size=4, requests_per_second=5, requests_per_second_is_limit=True, **LIMITED)
    with serving(profile, monkeypatch) as gateway:
        probe(inside, pace=0.25)
        found = read_profile(FILE)
        assert (found.requests_per_second, found.requests_per_second_is_limit) == (5, True)
        assert (found.batch_size, found.lots_are_atomic) == (4, True)
        assert paid(gateway) == 4


#: Delivered at once, so that nobody waits for it.
ANY = known(statuses={"delivered": 0.0})
#: The texts that are posted to it, within 12 SMS: three of one, a lot, a longer one, seven sizes for nothing, two paid.
POSTS = 14


def command(wait: str = "0") -> list[str]:
    options = ("--spend", "12", "--pace", "0", "--wait", wait, "--yes", "--json")
    return [sys.executable, "-m", "vavasms", "probe", "--to", OWN, *options]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a kill is POSIX's")
@pytest.mark.parametrize(
    ("number", "accepts_first"),
    [
        # Every other one in `.ci/run`.
        pytest.param(number, first, marks=[] if number % 2 == first else [pytest.mark.full])
        for number in range(1, POSTS + 1)
        for first in (True, False)
    ],
)
def test_killed_at_any_request_it_repeats_none_and_keeps_its_bound(
    number: int, inside: Run, monkeypatch: pytest.MonkeyPatch, *, accepts_first: bool
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        gateway.stop_at, gateway.accepts_first = number, accepts_first
        with start(command()) as process:
            assert gateway.arrived.wait(60)
            process.kill()
            process.wait(10)
        gateway.released.set()
        before, cost = [*gateway.posts], paid(gateway)
        assert len(before) == number
        *_steps, end = probe(inside, spend=12, wait=0)
        assert len(gateway.posts) == len(set(gateway.posts))
        assert cost <= paid(gateway) <= end["spent"] + end["may_have_spent"] <= 12
        # The one that was cut off may have been paid; of those that cost nothing nobody counts.
        text, phone = before[-1]
        is_paid = OWN in phone or number == 2
        most = (2 if "two SMS" in text else 1) * (1 if number in (2, 3) else phone.count(",") + 1)
        assert end["may_have_spent"] == (most if is_paid else 0)
        learnt = read_profile(FILE)
        posts = [*gateway.posts]
        probe(inside, spend=12, wait=0)
        assert (gateway.posts, read_profile(FILE)) == (posts, learnt)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [1, 3, 7, 13])
def test_interrupted_it_waits_for_the_answer_and_says_what_it_learnt(
    number: int, inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        gateway.stop_at = number
        with start(command()) as process:
            assert gateway.arrived.wait(60)
            process.send_signal(signal.SIGINT)
            gateway.released.set()
            printed, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "")
        end = json.loads(printed.splitlines()[-1])
        assert (end["event"], end["interrupted"]) == ("end", True)
        # Its answer came: nothing is in doubt.
        assert (end["spent"], end["may_have_spent"]) == (paid(gateway), 0)
        assert len(gateway.posts) == number
        *_steps, end = probe(inside, spend=12, wait=0)
        assert len(gateway.posts) == len(set(gateway.posts)) == POSTS
        assert (end["spent"], end["may_have_spent"]) == (paid(gateway), 0)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_interrupted_it_says_so_in_words(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ANY, monkeypatch) as gateway:
        gateway.stop_at = 1
        words = [word for word in command() if word != "--json"]
        with start(words) as process:
            assert gateway.arrived.wait(60)
            process.send_signal(signal.SIGTERM)
            gateway.released.set()
            printed, _errors = process.communicate(timeout=60)
        assert process.returncode == 130
        said = " ".join(printed.split())
        assert (
            "Interrupted. What was learnt and spent so far: price of a segment A segment costs 10 XOF."
            in said
        )
        assert "Spent so far: 1 SMS. The profile is in vavasms-profile.toml." in said


def test_without_a_sender_nothing_begins(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ANY, monkeypatch) as gateway:
        monkeypatch.delenv("VAVASMS_SENDER_ID")
        finished = inside("probe", "--to", OWN, "--spend", "6", "--yes")
        assert finished.returncode == 2
        assert "No sender ID: add --sender-id, or set VAVASMS_SENDER_ID" in " ".join(finished.stderr.split())
        assert gateway.posts == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_interrupted_while_it_follows_the_status_it_keeps_the_words(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(known(statuses={"sent": 0.0, "delivered": 9999.0}), monkeypatch) as gateway:
        gateway.stop_at_status = 3
        with start(command(wait="600")) as process:
            assert gateway.arrived.wait(60)
            process.send_signal(signal.SIGINT)
            gateway.released.set()
            printed, _errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert [*json.loads(printed.splitlines()[-1])["profile"]["statuses"]] == ["sent"]
        assert [*read_profile(FILE).statuses] == ["sent"]


def test_without_a_terminal_it_sends_nothing_unless_told_not_to_ask(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        finished = inside("probe", "--to", OWN, "--spend", "3")
        assert finished.returncode == 2
        assert "There is no terminal to confirm in: add --yes" in finished.stderr
        assert gateway.posts == []
    assert not FILE.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--spend", "-1"), "--spend takes a number of SMS, 0 or more. Nothing was sent"),
        (("--spend", "1", "--pace", "nan"), "--pace takes seconds, a day at most. Nothing was sent"),
        (("--spend", "1", "--wait", "-1"), "--wait takes seconds, a day at most. Nothing was sent"),
        (("--spend", "1", "--to", "12"), "Nothing was sent"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    words: tuple[str, ...], sentence: str, inside: Run, account: Mapping[str, str]
) -> None:
    to = () if "--to" in words else ("--to", OWN)
    finished = inside("probe", *to, "--yes", *words)
    assert finished.returncode == 2
    assert sentence in finished.stderr


@pytest.mark.slow
def test_it_says_before_each_step_what_it_may_cost_and_what_is_left_open(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        finished = inside("probe", "--to", OWN, "--spend", "3", "--pace", "0", "--wait", "0", "--yes")
        assert finished.returncode == 0, finished.stderr
        said = " ".join(finished.stdout.split())
        assert paid(gateway) == 2
    for sentence in (
        f"Only +{OWN} is sent anything.",
        "It may cost 3 SMS in all.",
        "One SMS in plain letters: what does a segment cost? It may cost 1 SMS. A segment costs 10 XOF.",
        "Which path answers the delivery status? It costs nothing. /v1/text/single answers the delivery status.",
        "A lot of your number and one that cannot exist: is it refused whole? It may cost 2 SMS. It is refused whole",
        "longer texts Not known: it may cost 2 SMS, which is more than is left.",
        "numbers a request Not known: it may cost 2 SMS, which is more than is left.",
        "Spent so far: 2 SMS.",
        "export VAVASMS_PROFILE=",
        "A larger --spend goes on where this ended; what is known costs nothing again.",
    ):
        assert sentence in said, (sentence, said)


def test_a_wrong_password_ends_it_before_anything_is_sent(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        monkeypatch.setenv("VAVASMS_PASSWORD", "no")
        finished = inside("probe", "--to", OWN, "--spend", "6", "--yes", "--json")
        assert finished.returncode == 3
        assert gateway.posts == []


def test_an_unknown_sender_ends_it_with_nothing_spent(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ANY, monkeypatch) as gateway:
        finished = inside(
            "probe", "--to", OWN, "--spend", "6", "--yes", "--sender-id", "NOBODY", "--pace", "0"
        )
        assert finished.returncode == 3
        assert len(gateway.posts) == 1
        assert paid(gateway) == 0


@pytest.mark.slow
def test_a_request_whose_end_is_unknown_is_said_and_is_exit_code_4_once(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ANY, monkeypatch) as gateway:
        gateway.fail_at = 1
        words = ("probe", "--to", OWN, "--spend", "3", "--pace", "0", "--wait", "0", "--yes")
        finished = inside(*words)
        said = " ".join(finished.stdout.split())
        assert finished.returncode == 4
        assert "Unknown, at most 1 SMS more: a request was cut off, and is not sent again." in said
        assert "price of a segment Not known: its request left" in said
        assert paid(gateway) == 2
        # What is unknown since an earlier run is none of this one's.
        assert inside(*words).returncode == 0
        assert paid(gateway) == 2


def test_the_journal_of_another_account_is_not_taken(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(f"{FILE}.journal").write_text('{"event": "probe", "account": "0000000000000000"}\n')
    finished = inside("probe", "--to", OWN, "--spend", "6", "--yes")
    assert finished.returncode == 2
    assert "it is another account's, or no journal of a probe. Nothing was sent" in " ".join(
        finished.stderr.split()
    )


pty = pytest.importorskip("pty") if os.name == "posix" else None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal is POSIX's")
def test_on_a_terminal_it_asks_before_each_step_that_may_cost(
    bare_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pty is not None
    with serving(ANY, monkeypatch) as gateway:
        ours, theirs = pty.openpty()
        words = ("probe", "--to", OWN, "--spend", "4", "--pace", "0", "--wait", "0")
        with subprocess.Popen(
            [sys.executable, "-m", "vavasms", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
        ) as process:
            os.close(theirs)
            # Plain: yes; a number that cannot exist: no, and so no lot; Unicode: yes; two segments: no.
            os.write(ours, b"yes\nno\noui\nno\nno\n")
            said = b""
            while chunk := read_terminal(ours):
                said += chunk
        os.close(ours)
        assert process.returncode == 0
        text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).split())
        assert [message for message, _to in gateway.posts] == [
            "vavasms probe: one plain SMS.",
            "vavasms probe: one SMS in Unicode \u2713",
        ]
        assert "0 of 4 SMS are spent, or may be. Type yes to send:" in text
        assert text.count("Not known: you said no.") == 1
        assert "it is not known how a number that cannot exist is refused" in text
        assert "Spent so far: 2 SMS." in text


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""
