"""The sandbox plays what the documentation leaves open as it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.cli.processes import start
from vavasms.cli.commands.sandbox_serve import play
from vavasms.profile.models import UNKNOWN, GatewayProfile, Oversize
from vavasms.sandbox import Answer, Gateway, GatewayRules, SandboxServer
from vavasms.sandbox.gateway import BALANCE, TEXT

CREDENTIALS = {"username": "sandbox@example.com", "password": "sandbox"}
A, B, C, BAD = "2250700000011", "2250700000012", "2250700000013", "2250000"


def send(gateway: Gateway, *to: str, message: str = "Bonjour") -> Answer:
    fields = {"sender_id": "ACME", "phone": ",".join(to), "message": message}
    return gateway.handle(TEXT, CREDENTIALS | fields)


def code(answer: Answer) -> int:
    text = answer.body.decode().replace(",\n}", "\n}")
    return int(json.loads(text)["code"])


def sent_to(gateway: Gateway) -> list[str]:
    return [entry.to for entry in gateway.journal.entries]


def test_a_lot_with_a_bad_number_is_sent_to_the_others_where_lots_are_not_atomic() -> None:
    gateway = Gateway(rules=GatewayRules(lots_are_atomic=False), balance=100)
    assert code(send(gateway, A, BAD, "2250700000903", B)) == 903
    assert sent_to(gateway) == [f"{A},{B}"]
    assert gateway.balance == 80
    assert code(send(gateway, BAD, "1")) == code(send(gateway, BAD)) == 903
    assert sent_to(gateway) == [f"{A},{B}"]
    assert code(send(gateway, A, B)) == 0


def test_a_lot_with_a_bad_number_goes_to_nobody_where_they_are() -> None:
    gateway = Gateway()
    assert code(send(gateway, A, BAD)) == 903
    assert sent_to(gateway) == []


@pytest.mark.parametrize("lots_are_atomic", [True, False])
def test_too_many_recipients_are_refused_and_nothing_is_accepted(*, lots_are_atomic: bool) -> None:
    gateway = Gateway(rules=GatewayRules(max_recipients=2, lots_are_atomic=lots_are_atomic))
    assert code(send(gateway, A, B, C)) == 921
    assert code(send(gateway, BAD, BAD, BAD)) == 921
    assert code(send(gateway, BAD, BAD)) == 903
    assert sent_to(gateway) == []
    assert code(send(gateway, A, B)) == 0


def test_their_form_may_be_looked_at_before_they_are_counted() -> None:
    gateway = Gateway(rules=GatewayRules(max_recipients=2, counts_first=False))
    assert code(send(gateway, BAD, BAD, BAD)) == 903
    assert code(send(gateway, A, B, C)) == 921


def test_those_beyond_may_be_dropped_without_a_word() -> None:
    gateway = Gateway(rules=GatewayRules(max_recipients=2, drops_recipients=True))
    answer = json.loads(send(gateway, A, B, C).body)
    assert (answer["code"], len(answer["data"]["message_id"])) == (0, 2)
    assert sent_to(gateway) == [f"{A},{B}"]


def test_prices_follow_the_rules() -> None:
    gateway = Gateway(price=10, rules=GatewayRules(price_ucs2=Decimal(15)))
    for text in ("a", "☺", "a" * 161):
        send(gateway, A, message=text)
    costs = [entry.cost for entry in gateway.journal.entries]
    assert costs == [10, 15, 20]
    gateway = Gateway(price=10, rules=GatewayRules(price_is_per_segment=False))
    send(gateway, A, B, message="a" * 161)
    assert gateway.journal.entries[-1].cost == 20


def test_its_words_of_the_status_come_in_their_time() -> None:
    now = [100.0]
    gateway = Gateway(clock=lambda: now[0], rules=GatewayRules(statuses=(("QUEUED", 2.0), ("Done", 5.0))))
    message_id = json.loads(send(gateway, A).body)["data"]["message_id"][0]
    words = []
    for age in (0, 1, 2, 4.9, 5, 99):
        now[0] = 100.0 + age
        words.append(gateway.status_of(message_id))
    assert words == ["QUEUED", "QUEUED", "QUEUED", "QUEUED", "Done", "Done"]
    answer = gateway.handle(TEXT, CREDENTIALS | {"message_id": message_id})
    assert json.loads(answer.body)["data"][0]["description"] == "Done"
    assert gateway.delivery.changes_in(A, 3.0) == 2.0
    assert gateway.delivery.changes_in(A, 6.0) is None


def test_no_path_answers_the_status_where_there_is_none() -> None:
    gateway = Gateway(rules=GatewayRules(has_status_call=False), status_path="/v1/status")
    assert "/v1/status" not in gateway.paths
    assert gateway.handle("/v1/status", CREDENTIALS | {"message_id": "SM-1"}).http_status == 404
    # The text call takes it for a text without anything.
    assert code(gateway.handle(TEXT, CREDENTIALS | {"message_id": "SM-1"})) == 902


def test_what_comes_too_fast_is_turned_away() -> None:
    now = [0.0]
    gateway = Gateway(clock=lambda: now[0], rules=GatewayRules(requests_per_second=2))

    def ask() -> Answer:
        return gateway.handle(BALANCE, CREDENTIALS)

    assert [ask().http_status for _time in range(4)] == [200, 200, 429, 429]
    assert ask().headers == (("Retry-After", "1"),)
    now[0] = 1.0
    assert [ask().http_status for _time in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("profile", "options", "rules"),
    [
        (UNKNOWN, {}, GatewayRules()),
        (GatewayProfile(batch_size=5, requests_per_second=9), {}, GatewayRules()),
        (
            GatewayProfile(
                status_path="/v1/status",
                lots_are_atomic=False,
                batch_size=5,
                batch_size_is_limit=True,
                oversize=Oversize.DROPPED,
                unit_price=Decimal(7),
                unit_price_ucs2=Decimal(9),
                price_is_per_segment=False,
                requests_per_second=3,
                requests_per_second_is_limit=True,
                statuses={"Done": 4.0, "Sent": 1.0},
            ),
            {"status_path": "/v1/status", "price": Decimal(7)},
            GatewayRules(
                lots_are_atomic=False,
                max_recipients=5,
                drops_recipients=True,
                price_ucs2=Decimal(9),
                price_is_per_segment=False,
                requests_per_second=3,
                statuses=(("Sent", 1.0), ("Done", 4.0)),
            ),
        ),
        (GatewayProfile(has_status_call=False), {}, GatewayRules(has_status_call=False)),
        (GatewayProfile(oversize=Oversize.REFUSED), {}, GatewayRules()),
    ],
)
def test_a_profile_is_played(
    profile: GatewayProfile, options: Mapping[str, Any], rules: GatewayRules
) -> None:
    assert play(profile) == {**options, "rules": rules}


@pytest.mark.slow
def test_the_command_plays_the_profile_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("batch_size = 2\nbatch_size_is_limit = true\n")
    command = [sys.executable, "-m", "vavasms", "sandbox", "--port", "0", "--json", "--profile", str(path)]
    with start(command) as process:
        assert process.stdout is not None
        settings = json.loads(process.stdout.readline())
        fields = {"sender_id": "ACME", "phone": f"{A},{B},{C}", "message": "x"}
        body = urlencode(CREDENTIALS | fields).encode()
        with urllib.request.urlopen(settings["base_url"] + TEXT, body) as reply:
            assert b"921" in reply.read()
    path.write_text("batch_size = 0")
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 2
    assert f"The gateway profile {path}: batch_size must be" in json.loads(finished.stderr)["error"]


def test_too_fast_is_said_over_http() -> None:
    with SandboxServer(Gateway(rules=GatewayRules(requests_per_second=1))) as server:
        body = urlencode(CREDENTIALS).encode()
        with urllib.request.urlopen(server.url + BALANCE, body) as reply:
            assert reply.status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + BALANCE, body)
        with caught.value as error:
            assert (error.code, error.headers["Retry-After"]) == (429, "1")
