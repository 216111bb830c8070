"""`send --idempotency-key` and `sends list`, `show`, `resolve`, `purge`: a command that may be run again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.cli.processes import start
from vavasms.cli.durations import read_duration
from vavasms.cli.exit_codes import UNKNOWN, code_of
from vavasms.errors import InvalidInputError, Outcome, SendInProgressError
from vavasms.ledger.models import BatchRecord
from vavasms.ledger.sends import NewSend, SendClaim
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
TO = "+2250700000101"
#: The outcome of whatever is sent to it is lost.
LOST = "+2250700000444"
LEDGER = "ledger.db"
ME = "sandbox@example.com loopback"
DAY = 86_400


@pytest.fixture(autouse=True)
def ledger(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a ledger in the environment; nobody has made it yet."""
    monkeypatch.setenv("VAVASMS_LEDGER", LEDGER)


def send(inside: Run, key: str, *more: str, to: str = TO, text: str = "Bonjour") -> Any:
    return inside("send", to, "--message", text, "--idempotency-key", key, *more)


def good(inside: Run, *words: str, code: int = 0) -> str:
    """Run a command that says nothing on standard error, and nothing too wide."""
    finished = inside(*words)
    assert (finished.returncode, finished.stderr) == (code, "")
    return str(finished.stdout)


def bad(inside: Run, *words: str, code: int = 2) -> str:
    """Run a command that fails with one line."""
    finished = inside(*words)
    assert (finished.returncode, finished.stdout, finished.stderr.count("\n")) == (code, "", 1)
    return str(finished.stderr)


def read(inside: Run, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """Return the objects that a command prints."""
    return [json.loads(line) for line in good(inside, *words, "--json", code=code).splitlines()]


def build(key: str, *, account: str = ME, enqueued: bool = False, recipients: int = 1) -> NewSend:
    return NewSend(
        account=account,
        key=key,
        recipients=tuple(Msisdn(str(2250700000101 + number)) for number in range(recipients)),
        sender_id="ACME",
        segments=1,
        text="Bonjour",
        is_enqueued=enqueued,
    )


def keep(
    *new: NewSend, event: BatchEvent = BatchEvent.MARK_UNKNOWN, now: float | None = None, lot_id: str = ""
) -> None:
    """Keep sends that were begun and settled, or that wait for a worker."""
    at = time.time() if now is None else now
    record = BatchRecord(lot_id=lot_id, error=None if lot_id else "No answer.")

    async def write() -> None:
        async with await SqliteLedger.open(LEDGER) as opened:
            for each in new:
                claim = await opened.sends.begin(each, token=each.key, now=at)
                assert isinstance(claim, SendClaim)
                await opened.sends.settle(claim, event, record, now=at)

    anyio.run(write)


def enqueue(*keys: str, lost: bool = False) -> None:
    """Keep sends for a worker; `lost`: one had them, and nobody knows what became of them."""

    async def write() -> None:
        async with await SqliteLedger.open(LEDGER) as opened:
            for key in keys:
                await opened.sends.enqueue(build(key, enqueued=True), now=time.time())
            claims = await opened.sends.claim_due(ME, token="t", now=time.time(), limit=9) if lost else ()
            for claim in claims:
                await opened.sends.settle(
                    claim, BatchEvent.MARK_UNKNOWN, BatchRecord(error="No answer."), now=time.time()
                )

    anyio.run(write)


# --- send ------------------------------------------------------------------------------------------------


def test_a_command_that_is_run_again_sends_nothing_and_prints_the_same(
    inside: Run, server: SandboxServer
) -> None:
    first, again = send(inside, "order-42"), send(inside, "order-42")
    head, _, rest = again.stdout.partition("\n")
    assert (first.returncode, again.returncode, again.stderr) == (0, 0, "")
    assert head.startswith("Sent already on 2")
    assert head.endswith("Z: nothing was sent now.")
    assert rest == first.stdout
    assert (
        send(inside, "order-42", "--quiet").stdout == f"{server.gateway.journal.entries[0].message_id(0)}\n"
    )
    assert json.loads(send(inside, "order-42", "--json").stdout)["replayed"] is True
    assert json.loads(send(inside, "order-43", "--json").stdout)["replayed"] is False
    assert len(server.gateway.journal) == 2


def test_without_a_key_and_a_ledger_nothing_is_kept(inside: Run) -> None:
    assert inside("send", TO, "--message", "Bonjour").returncode == 0
    assert not Path(LEDGER).exists()


def test_with_a_ledger_alone_a_send_is_kept_under_a_key_of_its_own(inside: Run) -> None:
    for _ in range(2):
        assert inside("send", TO, "--message", "Bonjour", "--ledger", "own.db").returncode == 0
    found = read(inside, "sends", "list", "--ledger", "own.db")
    assert [one["state"] for one in found] == ["accepted", "accepted"]
    assert all(one["key"].startswith("auto-") for one in found)
    assert not Path(LEDGER).exists()


def test_what_is_unknown_stays_exit_4_and_is_sent_once(inside: Run, server: SandboxServer) -> None:
    first, again = send(inside, "order-42", to=LOST), send(inside, "order-42", to=LOST)
    assert (first.returncode, again.returncode) == (4, 4)
    assert "The send with the key 'order-42' may have gone out: its outcome is unknown." in again.stderr
    assert "`vavasms sends resolve order-42 --mark-sent` or `vavasms sends resolve order-42 --resend`" in (
        again.stderr
    )
    assert again.stderr.count("\n") == 1
    assert len(server.gateway.journal) == 1


def test_a_key_of_something_else_is_wrong_input(inside: Run, server: SandboxServer) -> None:
    send(inside, "order-42")
    finished = send(inside, "order-42", text="Un autre texte")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("--idempotency-key was used first at 2")
    assert "Un autre" not in finished.stderr
    assert len(server.gateway.journal) == 1


def test_what_was_not_sent_is_sent_by_the_same_command(inside: Run, server: SandboxServer) -> None:
    with server.refuse():
        assert send(inside, "order-42").returncode == 5
    assert "Sent already" not in send(inside, "order-42").stdout
    assert len(server.gateway.journal) == 1


@pytest.mark.parametrize(
    ("key", "words"), [("", "at least one character"), ("a\nb", "printable"), ("k" * 256, "at most 255")]
)
def test_what_can_be_no_key_is_one_line_that_names_the_option(inside: Run, key: str, words: str) -> None:
    finished = send(inside, key)
    assert (finished.returncode, finished.stderr.count("\n")) == (2, 1)
    assert finished.stderr.startswith("--idempotency-key ")
    assert words in finished.stderr
    assert not Path(LEDGER).exists()


def test_a_send_that_another_call_has_under_way_is_as_unknown() -> None:
    assert code_of(SendInProgressError("Another call.", outcome=Outcome.UNKNOWN)) == UNKNOWN


# --- list ------------------------------------------------------------------------------------------------


def test_the_list_has_the_latest_first_and_what_a_person_decides_on(inside: Run) -> None:
    keep(build("old", recipients=3), event=BatchEvent.ACCEPT, lot_id="LOT-1", now=time.time() - 2 * DAY)
    keep(build("order 42"))
    out = good(inside, "sends", "list")
    first, second, *choice = out.splitlines()
    assert first.endswith("Z  unknown   +2250700000101  order 42")
    assert second.endswith("Z  accepted  +2250700000101 and 2 more  old")
    assert "It is unknown whether the SMS was sent" in choice[1]
    assert choice[-2:] == [
        "If it was sent:      vavasms sends resolve 'order 42' --mark-sent",
        "If it was not sent:  vavasms sends resolve 'order 42' --resend",
    ]
    assert "order 42" not in good(inside, "sends", "list", "--state", "accepted")
    assert "old" not in good(inside, "sends", "list", "--since", "24h")


def test_of_several_unknown_ones_the_commands_name_no_key_and_the_ledger(inside: Run) -> None:
    keep(build("a"), build("b"))
    out = good(inside, "sends", "list", "--ledger", LEDGER)
    assert "Of 2 sends it is unknown" in out
    assert f"vavasms sends resolve KEY --mark-sent --ledger {LEDGER}\n" in out


def test_a_list_as_json_is_a_line_a_send(inside: Run) -> None:
    keep(build("a"), event=BatchEvent.ACCEPT, lot_id="LOT-1")
    (found,) = read(inside, "sends", "list", "--state", "accepted")
    assert found["recipients"] == ["2250700000101"]
    assert (found["key"], found["account"], found["state"], found["kind"]) == ("a", ME, "accepted", "text")
    assert (found["lot_id"], found["enqueued"], found["attempts"]) == ("LOT-1", False, 1)
    assert "text" not in found
    assert read(inside, "sends", "list", "--state", "unknown") == []


def test_a_long_list_is_cut_and_says_so(inside: Run) -> None:
    keep(*map(build, "abc"), event=BatchEvent.REJECT)
    out = good(inside, "sends", "list", "--limit", "2")
    assert out.count("rejected") == 2
    assert out.endswith("There are more than 2: --limit N shows more.\n")
    assert len(read(inside, "sends", "list", "--limit", "2")) == 2
    assert "more than" not in good(inside, "sends", "list", "--limit", "3")


def test_two_accounts_of_one_ledger_are_told_apart(inside: Run) -> None:
    keep(build("k"), event=BatchEvent.REJECT)
    keep(build("k", account="other gateway.example"))
    out = good(inside, "sends", "list")
    assert "k  (other gateway.example)\n" in out
    for words in (("show", "k"), ("resolve", "k", "--resend", "--yes")):
        said = bad(inside, "sends", *words)
        assert "Several accounts have a send with the key 'k'" in said
        assert f"of 'other gateway.example', '{ME}'" in said
    shown = good(inside, "sends", "show", "k", "--account", "other gateway.example")
    assert "resolve k --mark-sent --account 'other gateway.example'" in shown
    assert read(inside, "sends", "show", "k", "--account", ME)[0]["state"] == "rejected"
    assert "no send of the account 'nobody' with the key 'k'" in bad(
        inside, "sends", "show", "k", "--account", "nobody"
    )


def test_an_empty_list_says_so_and_needs_no_account(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAVASMS_PASSWORD")
    enqueue()
    assert good(inside, "sends", "list") == "There is no such send in this ledger.\n"


@pytest.mark.parametrize(
    "words", [("list",), ("show", "k"), ("resolve", "k", "--mark-sent", "--yes"), ("purge", "--yes")]
)
def test_where_there_is_no_ledger_none_is_made(inside: Run, words: tuple[str, ...]) -> None:
    assert "There is no ledger at" in bad(inside, "sends", *words)
    assert not Path(LEDGER).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--state", "lost"), "lost"),
        (("list", "--since", "soon"), "--since takes a whole number and a unit"),
        (("list", "--limit", "0"), "--limit is a whole number"),
        (("purge", "--older-than", "1y"), "--older-than takes a whole number and a unit"),
        (("resolve", "k", "--mark-sent", "--resend"), "exclude each other"),
        (("show", "k"), "There is no send with the key 'k'"),
        (("show", "a\nb"), "There is no send with the key"),
    ],
)
def test_wrong_input_is_one_line(inside: Run, words: tuple[str, ...], said: str) -> None:
    enqueue()
    assert said in bad(inside, "sends", *words)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24H", DAY), ("30d", 30 * DAY), (" 2w ", 14 * DAY)]
)
def test_a_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert read_duration(text, "--since") == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "1.5h", "1 month", "9999999d", "٣d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--since takes"):
        read_duration(text, "--since")


# --- show and resolve ------------------------------------------------------------------------------------


def test_show_has_all_that_is_kept(inside: Run) -> None:
    keep(build("a", recipients=2), event=BatchEvent.ACCEPT, lot_id="LOT-\x1b[2J9")
    out = good(inside, "sends", "show", "a")
    for words in ("The send a is accepted.", "+2250700000101, +2250700000102", "ACME", "LOT-[2J9", "a text"):
        assert words in out
    assert "resolve" not in out
    enqueue("b")
    waiting = good(inside, "sends", "show", "b")
    assert "The send b is queued." in waiting
    assert "Bonjour" in waiting
    assert "0, by a worker" in waiting
    (found,) = read(inside, "sends", "show", "b")
    assert (found["text"], found["enqueued"], found["sent_at"]) == ("Bonjour", True, None)


def test_a_decision_that_it_was_sent_answers_its_key(inside: Run, server: SandboxServer) -> None:
    send(inside, "order-42", to=LOST)
    shown = good(inside, "sends", "resolve", "order-42", code=4)
    assert "vavasms sends resolve order-42 --resend" in shown
    out = good(inside, "sends", "resolve", "order-42", "--mark-sent", "--yes")
    assert out == "The send order-42 now counts as accepted; a repeat with its key sends nothing.\n"
    noted = " ".join(good(inside, "sends", "show", "order-42").split())
    assert "Attempts 1" in noted
    assert "Note Marked as sent by hand." in noted
    assert "Error" not in noted
    again = send(inside, "order-42", to=LOST)
    assert (again.returncode, again.stdout.startswith("Sent already on 2")) == (0, True)
    said = bad(inside, "sends", "resolve", "order-42", "--resend", "--yes")
    assert "is accepted: only what is unknown is for a person to decide. Nothing was changed." in said
    assert len(server.gateway.journal) == 1


def test_a_decision_that_it_was_not_sent_frees_its_key(inside: Run, server: SandboxServer) -> None:
    server.faults.script(Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
    assert send(inside, "order-42").returncode == 4
    out = good(inside, "sends", "resolve", "order-42", "--resend", "--yes")
    assert "is taken for not sent" in out
    assert "with the same key again" in out
    assert "is not sent: only" in bad(inside, "sends", "resolve", "order-42", "--resend", "--yes")
    again = send(inside, "order-42")
    assert (again.returncode, "Sent already" in again.stdout) == (0, False)
    assert len(server.gateway.journal) == 2


def test_what_was_enqueued_is_queued_again(inside: Run) -> None:
    enqueue("order-42", lost=True)
    (found,) = read(inside, "sends", "resolve", "order-42", code=4)
    assert found["state"] == "unknown"
    out = good(inside, "sends", "resolve", "order-42", "--resend", "--yes", "--ledger", LEDGER)
    assert f"is queued again: a worker sends it (vavasms worker --ledger {LEDGER})" in out
    assert read(inside, "sends", "show", "order-42")[0]["state"] == "queued"


def test_a_decision_as_json_is_the_send(inside: Run) -> None:
    keep(build("a"))
    (found,) = read(inside, "sends", "resolve", "a", "--mark-sent", "--yes")
    assert (found["state"], found["error"]) == ("accepted", "Marked as sent by hand.")


@pytest.mark.parametrize("decision", ["--mark-sent", "--resend"])
@pytest.mark.parametrize("enqueued", [False, True])
def test_without_a_terminal_nobody_decides(inside: Run, decision: str, enqueued: bool) -> None:
    enqueue("a", lost=True) if enqueued else keep(build("a"))
    assert "add --yes" in bad(inside, "sends", "resolve", "a", decision)
    assert read(inside, "sends", "list")[0]["state"] == "unknown"


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("typed", "code", "state"), [("yes", 0, "not_sent"), ("y", 2, "unknown")])
def test_a_decision_wants_a_typed_yes(inside: Run, outside: Run, typed: str, code: int, state: str) -> None:
    keep(build("a", recipients=2))
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{typed}\n".encode())
        finished = outside("sends", "resolve", "a", "--resend", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert finished.returncode == code
    assert "The send a to 2 recipients will be taken for not sent" in finished.stderr
    assert "gets a second one, paid again" in finished.stderr
    assert read(inside, "sends", "show", "a")[0]["state"] == state


def test_what_a_process_left_behind_is_unknown(
    inside: Run, outside: Run, server: SandboxServer, account: Mapping[str, str]
) -> None:
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=60.0)
    server.faults.script(stall, path="/v1/text/single")
    words = ("send", TO, "--message", "Bonjour", "--idempotency-key", "order-42")
    with start([sys.executable, "-m", "vavasms", *words]) as process:
        assert server.gateway.journal.wait_for(1, timeout=20)
        assert read(inside, "sends", "list")[0]["state"] == "sending"
        process.kill()
        process.wait(20)
    found = read(inside, "sends", "show", "order-42")[0]
    assert (found["state"], "The process ended" in found["error"]) == ("unknown", True)
    assert send(inside, "order-42").returncode == 4


# --- purge -----------------------------------------------------------------------------------------------


def test_a_purge_forgets_what_is_over_and_old(inside: Run) -> None:
    keep(build("old"), event=BatchEvent.ACCEPT, lot_id="LOT-1", now=time.time() - 31 * DAY)
    keep(build("lost"), now=time.time() - 31 * DAY)
    keep(build("new"), event=BatchEvent.REJECT)
    assert "add --yes" in bad(inside, "sends", "purge")
    assert good(inside, "sends", "purge", "--yes") == "Forgotten: 1 send.\n"
    assert {one["key"] for one in read(inside, "sends", "list")} == {"lost", "new"}
    assert read(inside, "sends", "purge", "--older-than", "0s", "--yes") == [{"purged": 1}]
    assert [one["key"] for one in read(inside, "sends", "list")] == ["lost"]
