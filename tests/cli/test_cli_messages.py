"""`balance`, `send`, `status`: what they print, and how they end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping

import pytest

from vavasms.sandbox import Fault, FaultKind, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
TO = "+2250700000001"

pytestmark = pytest.mark.usefixtures("account")


def assert_one_line(finished: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert finished.returncode == code, finished.stderr
    assert finished.stdout == ""
    assert finished.stderr.endswith("\n")
    assert finished.stderr.count("\n") == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    for word in words:
        assert word in finished.stderr


def test_balance_prints_the_credit(inside: Run) -> None:
    finished = inside("balance")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "1,000,000 XOF\n", "")


def test_balance_as_json_is_one_object_with_a_number(inside: Run) -> None:
    assert json.loads(inside("balance", "--json").stdout) == {"amount": 1_000_000, "currency": "XOF"}


def test_send_prints_the_lot_and_a_message_id_beside_each_recipient(
    inside: Run, server: SandboxServer
) -> None:
    finished = inside("send", TO, "05 05 00 00 02", "--message", "Bonjour")
    entry = server.gateway.journal.entries[0]
    assert finished.returncode == 0
    assert f"Accepted as lot {entry.lot_id}: 2 messages of 1 segment." in finished.stdout
    assert f"+2250700000001  {entry.message_id(0)}\n" in finished.stdout
    assert f"+2250505000002  {entry.message_id(1)}\n" in finished.stdout


def test_several_recipients_are_one_request(inside: Run, server: SandboxServer) -> None:
    inside("send", TO, "+2250500000002", TO, "--message", "Bonjour")
    (entry,) = server.gateway.journal.entries
    assert entry.to == "2250700000001,2250500000002"


def test_send_as_json_names_recipients_by_digits(inside: Run, server: SandboxServer) -> None:
    value = json.loads(inside("send", TO, "--message", "Bonjour", "--json").stdout)
    entry = server.gateway.journal.entries[0]
    assert value["lot_id"] == entry.lot_id
    assert value["recipients"] == ["2250700000001"]
    assert value["by_recipient"] == {"2250700000001": entry.message_id(0)}
    assert value["message_ids"] == [entry.message_id(0)]


def test_quiet_prints_the_message_ids_only(inside: Run, server: SandboxServer) -> None:
    finished = inside("send", TO, "--message", "Bonjour", "--quiet")
    assert finished.stdout == f"{server.gateway.journal.entries[0].message_id(0)}\n"


def test_ids_that_cannot_be_paired_are_shown_unpaired(inside: Run, server: SandboxServer) -> None:
    server.faults.script(Fault(kind=FaultKind.TOO_FEW_IDS))
    finished = inside("send", TO, "+2250500000002", "--message", "Bonjour")
    assert finished.returncode == 0
    assert "+2250700000001, +2250500000002" in finished.stdout
    assert "cannot be told apart" in finished.stdout


def test_a_text_may_begin_with_a_hyphen(inside: Run, server: SandboxServer) -> None:
    assert inside("send", TO, "--message", "--json").returncode == 0
    assert server.gateway.journal.entries[0].message == "--json"


def test_another_sender_id_is_used_where_it_is_given(inside: Run, server: SandboxServer) -> None:
    inside("send", TO, "--message", "x", "--sender-id", "ACME")
    assert server.gateway.journal.entries[0].sender_id == "ACME"


def test_status_shows_the_gateways_own_words(inside: Run, server: SandboxServer) -> None:
    inside("send", TO, "--message", "Bonjour")
    entry = server.gateway.journal.entries[0]
    finished = inside("status", entry.message_id(0), "--lot-id", entry.lot_id)
    assert finished.returncode == 0
    assert entry.message_id(0) in finished.stdout
    assert "En attente" in finished.stdout


def test_status_as_json_is_an_object_a_line(inside: Run, server: SandboxServer) -> None:
    inside("send", TO, "--message", "Bonjour")
    message_id = server.gateway.journal.entries[0].message_id(0)
    (line,) = inside("status", message_id, "--json").stdout.splitlines()
    value = json.loads(line)
    assert value["message_id"] == message_id
    assert value["status"] == value["raw_status"] == "pending"


def test_no_reports_are_said_to_be_none(inside: Run, server: SandboxServer) -> None:
    body = b'{"code": 0, "message": "OPERATION_SUCCES", "data": []}'
    server.faults.script(Fault(kind=FaultKind.RAW, body=body))
    assert inside("status", "SM-1").stdout == "The gateway reports nothing of this message.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--message", "x"), "list of recipients is empty"),
        ((TO, "--message", ""), "message is empty"),
        ((TO, "--message", "x", "--sender-id", "AB"), "3 to 11"),
        ((TO, "--message", "x", "--sender-id", "ABCDEFGHIJKL"), "3 to 11"),
        ((TO, "--message", "x", "--sender-id", "ACMÉ"), "ASCII"),
        (("+22507000001", "--message", "x"), "+2250707000001"),
        (("hello", "--message", "x"), "letters"),
        ((TO,), "--message"),
        ((TO, "--message"), "--message"),
        ((TO, "--mesage", "x"), "--mesage"),
    ],
)
def test_wrong_input_is_one_line_exit_2_and_nothing_sent(
    inside: Run, server: SandboxServer, arguments: tuple[str, ...], words: str
) -> None:
    finished = inside("send", *arguments)
    assert_one_line(finished, 2, words)
    assert "othing was sent" in finished.stderr
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize(
    ("to", "code", "words"),
    [
        (("+2250700000903",), 3, "Nothing was sent"),
        (("+2250700000902",), 3, "902"),
        (("+2250700000903", TO), 4, "unknown whether the SMS was sent"),
        (("+2250700000999",), 3, "999"),
        (("+2250700000444",), 4, "unknown whether the SMS was sent"),
        (("+2250700000503",), 4, "unknown"),
        (("+2250700000302",), 4, "redirects"),
        (("+2250700000429",), 5, "Nothing was sent"),
    ],
)
def test_each_fate_of_a_send_has_its_exit_code(
    inside: Run, to: tuple[str, ...], code: int, words: str
) -> None:
    assert_one_line(inside("send", *to, "--message", "x"), code, words)


def test_a_gateway_that_cannot_be_reached_is_not_sent(outside: Run, server: SandboxServer) -> None:
    with server.refuse():
        finished = outside("send", TO, "--message", "x")
    assert_one_line(finished, 5, "could not be reached", "Nothing was sent")


def test_a_wrong_password_is_rejected_and_never_shown(outside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", "hunter2-secret")
    for debug in ("", "1"):
        monkeypatch.setenv("VAVASMS_DEBUG", debug)
        finished = outside("send", TO, "--message", "x")
        assert finished.returncode == 3
        assert "901" in finished.stderr
        assert "hunter2" not in finished.stdout + finished.stderr


def test_an_unknown_message_is_exit_3(inside: Run) -> None:
    assert_one_line(inside("status", "SM-20000101-1"), 3, "709")


def test_an_empty_message_id_is_exit_2(inside: Run) -> None:
    assert_one_line(inside("status", ""), 2, "message id is empty")


def test_a_balance_that_nobody_can_read_is_exit_5(inside: Run, server: SandboxServer) -> None:
    server.faults.set_rates({Fault(kind=FaultKind.HTML): 1.0})
    assert_one_line(inside("balance"), 5, "cannot be read")


def test_the_gateways_text_reaches_no_terminal_as_control_or_markup(
    inside: Run, server: SandboxServer, account: Mapping[str, str]
) -> None:
    words = "\\u001b]0;owned\\u0007[red]x[/red]\\u202e\\u009b31m"
    body = f'{{"code": 999, "message": "E", "description": "{words}", "data": []}}'.encode()
    server.faults.script(Fault(kind=FaultKind.RAW, body=body))
    finished = inside("send", TO, "--message", "x")
    assert "[red]x[/red]" in finished.stderr
    assert not set(finished.stderr) & set("\x1b\x07\u202e\x9b")
