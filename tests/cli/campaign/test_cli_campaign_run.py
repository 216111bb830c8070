"""`campaign run` and `campaign resume`: what they refuse, what they say, how they end."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from filelock import FileLock
from rich.console import Console

from vavasms.campaigns.policy import Policy, Window, load_policy
from vavasms.cli import exit_codes
from vavasms.cli import run as run_command
from vavasms.cli.commands.campaign import run, status_view
from vavasms.cli.commands.campaign.options import parse_share
from vavasms.cli.commands.campaign.progress import Throughput, draw
from vavasms.errors import AuthenticationError, NotSentError, Outcome, VavaSMSError
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import SandboxServer
from vavasms.sandbox.delivery import DeliveryPlan

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]


@pytest.fixture(autouse=True)
def ledger(account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A ledger of its own, not yet made."""
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    return tmp_path / "ledger.db"


@pytest.fixture
def contacts() -> Callable[..., str]:
    """Write a list of so many numbers, and others."""

    def write(count: int, *others: str) -> str:
        numbers = [f"2250701000{each:03}" for each in range(count)]
        Path("contacts.csv").write_text("\n".join(["tel", *numbers, *others, ""]))
        return "contacts.csv"

    return write


def send(inside: Run, contacts: str, *options: str) -> Finished:
    return inside("campaign", "run", contacts, "--message", "Bonjour", "--yes", *options)


def events(finished: Finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in finished.stdout.splitlines()]


def kept(inside: Run) -> list[dict[str, Any]]:
    return events(inside("campaign", "list", "--json"))


def status(**counts: object) -> CampaignStatus:
    values: dict[str, Any] = {
        **dict.fromkeys(("queued", "sending", "accepted", "rejected", "not_sent", "unknown"), 0),
        "id": "3f9a1c07",
        "state": CampaignState.DONE,
        "reason": None,
        "batches": 1,
        "segments": 0,
    } | counts
    return CampaignStatus(recipients=10, **values)


def test_the_id_comes_first_then_the_plan_the_progress_and_the_report(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    finished = send(inside, contacts(20), "--batch-size", "5", "--unit-price", "10")
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert lines[0] == kept(inside)[0]["id"]
    for words in ("A list of 20 rows", "Sending to 20 of 20 recipients", "20 of 20: 20 accepted"):
        assert words in finished.stdout
    assert "The closing report" in finished.stdout
    assert "cost: 200 XOF" in finished.stdout
    assert f"vavasms campaign report {lines[0]}" in finished.stdout
    assert "resume" not in finished.stdout
    assert all(len(line) <= 80 for line in lines)
    assert set(server.gateway.journal.counts().values()) == {1}


def test_every_line_of_json_is_an_object_and_the_first_holds_the_id(
    inside: Run, contacts: Callable[..., str]
) -> None:
    found = events(send(inside, contacts(20), "--batch-size", "5", "--json"))
    assert [each["event"] for each in found if each["event"] != "progress"] == ["plan", "start", "end"]
    assert len({each["id"] for each in found}) == 1
    assert (found[0]["recipients"], found[0]["requests"]) == (20, 4)
    assert found[-1] | {"segments": 20} == {
        "event": "end",
        "id": found[0]["id"],
        "state": "done",
        "recipients": 20,
        "queued": 0,
        "sending": 0,
        "accepted": 20,
        "rejected": 0,
        "not_sent": 0,
        "unknown": 0,
        "batches": 4,
        "segments": 20,
        "reason": None,
        "cost": None,
        "interrupted": False,
        "error": None,
    }


@pytest.mark.slow
def test_without_a_terminal_and_without_yes_nothing_is_kept(
    outside: Run, contacts: Callable[..., str], ledger: Path, server: SandboxServer
) -> None:
    finished = outside("campaign", "run", contacts(2), "--message", "Bonjour", stdin=subprocess.DEVNULL)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1
    assert "add --yes" in finished.stderr
    assert not ledger.exists()
    assert len(server.gateway.journal) == 0


@pytest.mark.slow
def test_a_list_from_standard_input_leaves_nobody_to_ask(outside: Run) -> None:
    words = ("campaign", "run", "-", "--message", "Bonjour")
    refused = outside(*words, input="0701000001\n")
    assert refused.returncode == 2
    assert "comes from standard input" in refused.stderr
    assert outside(*words, "--yes", input="0701000001\n").returncode == 0


def test_a_list_from_no_standard_input_at_all_is_refused(
    inside: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Python has it after `<&-`.
    monkeypatch.setattr(sys, "stdin", None)
    finished = send(inside, "-")
    assert finished.returncode == 2
    assert "There is no standard input" in finished.stderr


def test_detaching_from_a_file_is_refused(inside: Run, contacts: Callable[..., str], ledger: Path) -> None:
    finished = send(inside, contacts(2), "--detach")
    assert finished.returncode == 2
    assert "--detach needs workers" in finished.stderr
    assert not ledger.exists()


def test_the_same_plan_is_sent_again_only_when_that_is_said(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    first = send(inside, contacts(3)).stdout.splitlines()[0]
    refused = send(inside, "contacts.csv")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"(`vavasms campaign report {first}`), or add --again to send" in refused.stderr
    assert len(kept(inside)) == 1
    assert len(server.gateway.journal) == 1
    assert send(inside, "contacts.csv", "--again").returncode == 0
    assert len(server.gateway.journal) == 2


def test_a_plan_that_changed_is_refused_and_the_planned_one_runs(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    words = ("campaign", "plan", contacts(3), "--message", "Bonjour", "--json")
    planned = events(inside(*words))[0]["hash"]
    contacts(4)
    refused = send(inside, "contacts.csv", "--plan", planned)
    assert refused.returncode == 2
    assert planned in refused.stderr
    assert kept(inside) == []
    contacts(3)
    assert send(inside, "contacts.csv", "--plan", planned).returncode == 0


@pytest.mark.parametrize(
    ("other", "code", "outcome"),
    [("+2250700000903", 3, "rejected"), ("+2250700000444", 4, "unknown"), ("+2250700000500", 4, "unknown")],
)
def test_the_exit_code_is_that_of_the_worst_outcome(
    inside: Run, contacts: Callable[..., str], other: str, code: int, outcome: str
) -> None:
    finished = send(inside, contacts(3, other), "--batch-size", "1", "--json")
    assert finished.returncode == code
    assert events(finished)[-1][outcome] == 1


def test_a_campaign_that_its_budget_pauses_says_why_and_how_to_go_on(
    inside: Run, contacts: Callable[..., str]
) -> None:
    options = ("--batch-size", "1", "--concurrency", "1", "--unit-price", "10", "--budget", "30")
    finished = send(inside, contacts(8), *options)
    assert finished.returncode == 5
    assert "The campaign is paused: the budget does not suffice" in finished.stdout
    found = kept(inside)[0]
    assert (found["accepted"], found["queued"]) == (3, 5)
    advice = f"vavasms campaign resume {found['id']} --budget 80\n"
    for shown in (finished, inside("campaign", "status", str(found["id"]))):
        assert advice in shown.stdout
        assert "A budget of 80 XOF is enough for all that is queued." in shown.stdout
    finished = inside("campaign", "resume", str(found["id"]), "--budget", "50")
    assert (finished.returncode, kept(inside)[0]["accepted"]) == (5, 5)
    refused = inside("campaign", "resume", str(found["id"]), "--budget", "-1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    finished = inside("campaign", "resume", str(found["id"]), "--budget", "80", "--balance-floor", "10")
    assert (finished.returncode, kept(inside)[0]["accepted"]) == (0, 8)


def test_an_error_that_stops_the_campaign_counts_by_its_own_code(
    inside: Run, contacts: Callable[..., str]
) -> None:
    finished = send(inside, contacts(3), "--sender-id", "NOBODY", "--json")
    assert finished.returncode == 3
    last = events(finished)[-1]
    assert (last["state"], last["queued"]) == ("paused", 3)
    assert last["error"].startswith("UnknownSenderIdError")


def test_the_test_goes_to_ones_own_phone_before_the_rest(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    finished = send(inside, contacts(3), "--test-to", "05 01 00 00 09")
    assert finished.returncode == 0
    assert "The test to +2250501000009: accepted, message " in finished.stdout
    first = server.gateway.journal.entries[0]
    assert (first.phones, first.message) == (("2250501000009",), "Bonjour")


def test_a_test_that_fails_stops_what_nobody_is_asked_about(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    finished = send(inside, contacts(3), "--test-to", "+2250700000444", "--json")
    assert finished.returncode == 4
    assert events(finished)[-1]["outcome"] == "unknown"
    assert kept(inside) == []
    assert len(server.gateway.journal) == 1
    words = send(inside, "contacts.csv", "--test-to", "+2250700000903")
    assert words.returncode == 3
    assert "The test to +2250700000903: rejected. " in words.stdout


def test_a_test_to_no_number_keeps_nothing(inside: Run, contacts: Callable[..., str]) -> None:
    finished = send(inside, contacts(3), "--test-to", "27 22 41 20 00")
    assert finished.returncode == 2
    assert finished.stderr.startswith("27 22 41 20 00 is a landline, which takes no SMS")
    assert kept(inside) == []


def test_a_test_to_somebody_who_opted_out_is_refused_and_keeps_nothing(
    inside: Run, contacts: Callable[..., str], server: SandboxServer
) -> None:
    assert inside("optouts", "add", "+2250501000009").returncode == 0
    finished = send(inside, contacts(3), "--test-to", "05 01 00 00 09")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        "The number of --test-to is on the opt-out list. Nothing was sent. [campaign.test_number]\n"
    )
    assert kept(inside) == []
    assert len(server.gateway.journal) == 0


def test_what_is_wrong_with_the_limits_is_said_before_anything_is_kept(
    inside: Run, contacts: Callable[..., str], ledger: Path
) -> None:
    finished = send(inside, contacts(3), "--budget", "30")
    assert finished.returncode == 2
    assert "add --unit-price 12, the price of a segment in your contract" in finished.stderr
    assert not ledger.exists()


def test_without_an_account_nothing_is_kept(
    inside: Run, contacts: Callable[..., str], ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAVASMS_PASSWORD")
    finished = send(inside, contacts(3))
    assert finished.returncode == 2
    assert "VAVASMS_PASSWORD is missing" in finished.stderr
    assert not ledger.exists()


def test_a_second_runner_is_refused_and_nothing_is_sent(
    inside: Run, contacts: Callable[..., str], ledger: Path, server: SandboxServer
) -> None:
    with FileLock(f"{ledger}.lock", is_singleton=False):
        finished = send(inside, contacts(3))
    assert finished.returncode == 5
    assert "Another runner" in finished.stderr
    assert kept(inside) == []
    assert len(server.gateway.journal) == 0


@pytest.mark.parametrize("campaign_id", ["0000dead", "done"])
def test_what_cannot_go_on_is_refused(inside: Run, contacts: Callable[..., str], campaign_id: str) -> None:
    done = send(inside, contacts(2)).stdout.splitlines()[0]
    finished = inside("campaign", "resume", done if campaign_id == "done" else campaign_id)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "campaign" in finished.stderr
    last = "Nothing more was sent." if campaign_id == "done" else "Nothing was sent."
    assert f"{last} [" in finished.stderr


def test_what_is_unknown_is_named_where_nothing_else_is_left(
    inside: Run, contacts: Callable[..., str]
) -> None:
    name = send(inside, contacts(0, "+2250700000444")).stdout.splitlines()[0]
    refused = inside("campaign", "resume", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"but 1 recipient is unknown: `vavasms campaign resolve {name}` decides." in refused.stderr
    shown = inside("campaign", "resolve", name).stdout
    assert "Sending again risks paying 1 segment twice.\n" in shown
    assert "If it was sent:" in shown


@pytest.mark.parametrize("unknown", [0, 1])
def test_what_is_left_to_workers_names_what_is_for_a_person(
    capsys: pytest.CaptureFixture[str], unknown: int
) -> None:
    run._introduce(status(unknown=unknown, state=CampaignState.RUNNING), "")
    assert ("vavasms campaign resolve 3f9a1c07\n" in capsys.readouterr().out) is bool(unknown)


def test_a_wrong_password_is_to_be_corrected_before_it_goes_on(
    inside: Run, contacts: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", "wrong")
    name = send(inside, contacts(2)).stdout.splitlines()[0]
    shown = inside("campaign", "status", name).stdout
    assert "is paused: The gateway refused (INVALID_CREDENTIALS, 901)" in shown.replace("\n", " ")
    assert ".." not in shown
    assert "Correct VAVASMS_USERNAME and VAVASMS_PASSWORD first, then resume." in shown


def test_a_floor_is_said_with_grouped_amounts_and_what_to_do(
    inside: Run, contacts: Callable[..., str]
) -> None:
    limits = ("--unit-price", "10", "--balance-floor")
    name = send(inside, contacts(2), *limits, "2000000").stdout.splitlines()[0]
    shown = inside("campaign", "status", name).stdout
    assert "the balance of 1,000,000 XOF is at or under the floor of 2,000,000 XOF.\n" in shown
    assert "Top up the account first, or resume with a lower --balance-floor." in shown
    french = inside("--lang", "fr", "campaign", "status", name).stdout
    assert "1\xa0000\xa0000 XOF" in french
    near = send(inside, "contacts.csv", *limits, "999990", "--again").stdout
    assert "does not pay for the next batch above the floor of 999,990 XOF" in near


def test_a_resume_makes_no_ledger(inside: Run, ledger: Path) -> None:
    finished = inside("campaign", "resume", "3f9a1c07")
    assert finished.returncode == 2
    assert not ledger.exists()


def test_a_paused_campaign_goes_on_where_it_stopped(
    inside: Run, contacts: Callable[..., str], server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = send(inside, contacts(4), "--sender-id", "NOBODY").stdout.splitlines()[0]
    server.gateway.sender_ids = frozenset({"SANDBOX", "NOBODY"})
    finished = inside("campaign", "resume", name)
    assert finished.returncode == 0
    assert "Sending to 4 of 4 recipients" in finished.stdout
    assert set(server.gateway.journal.counts().values()) == {1}


def test_it_runs_in_a_thread_where_no_signal_can_be_received(
    contacts: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("campaign", "run", contacts(2), "--message", "Bonjour", "--yes")
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run_command, words).result(30) == 0


def test_an_interrupt_before_the_first_call_says_how_to_go_on(
    inside: Run, contacts: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    class Pressing(io.StringIO):
        """A screen before which somebody presses Ctrl-C as soon as it says that it sends."""

        def write(self, text: str) -> int:
            if "Sending to" in text:
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

    with contextlib.redirect_stdout(Pressing()) as screen:
        code = run_command(("campaign", "run", contacts(2), "--message", "Bonjour", "--yes"))
    name = screen.getvalue().splitlines()[0]
    assert code == 130
    assert f"to go on, vavasms campaign resume {name}" in capsys.readouterr().err
    assert inside("campaign", "resume", name).returncode == 0


def test_a_window_that_is_closed_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    hour = (datetime.now(UTC).hour + 6) % 24
    window = Window(time(hour), time((hour + 1) % 24), ZoneInfo("UTC"))
    run._announce(status(queued=10), Policy(window=window), as_json=False)
    out = capsys.readouterr().out
    assert f"Nothing leaves before {hour:02}:00" in out
    assert "(UTC)." in out
    always = Window(time(hour), time((hour + 23) % 24), ZoneInfo("UTC"))
    run._announce(status(queued=10), Policy(window=always), as_json=False)
    assert "Sending to 10 of 10 recipients" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("counts", "error", "code"),
    [
        ({"accepted": 10}, None, exit_codes.DONE),
        ({"accepted": 9, "not_sent": 1}, None, exit_codes.NOT_SENT),
        ({"accepted": 9, "queued": 1}, None, exit_codes.NOT_SENT),
        ({"accepted": 8, "queued": 1, "rejected": 1}, None, exit_codes.REJECTED),
        ({"rejected": 1, "unknown": 1, "queued": 8}, None, exit_codes.UNKNOWN),
        ({"queued": 10}, AuthenticationError("no", outcome=Outcome.REJECTED), exit_codes.REJECTED),
        ({"queued": 10}, NotSentError("no", outcome=Outcome.NOT_SENT), exit_codes.NOT_SENT),
    ],
)
def test_exit_codes_follow_the_worst_of_all(
    counts: dict[str, int], error: VavaSMSError | None, code: int
) -> None:
    run = partial(status_view.SignalledRun, status=status(**counts), error=error)
    assert status_view.choose_code(run(interrupted=False)) == code
    assert status_view.choose_code(run(interrupted=True)) == exit_codes.INTERRUPTED


def test_the_pace_is_that_of_the_last_seconds() -> None:
    moments = iter([0.0, 1.0, 5.0, 20.0])
    pace = Throughput(clock=lambda: next(moments))
    assert [pace.take(done) for done in (0, 10, 100, 400)] == [0.0, 10.0, 20.0, 0.0]


@pytest.mark.parametrize(
    ("counts", "pace", "words"),
    [
        ({"accepted": 10}, 3.0, "done"),
        ({"queued": 10}, 0.0, "waiting"),
        ({"accepted": 2, "queued": 7, "sending": 1}, 0.002, "1:06:40 left"),
    ],
)
def test_the_bar_says_what_is_left_and_what_it_cost(counts: dict[str, int], pace: float, words: str) -> None:
    screen = io.StringIO()
    policy = Policy(unit_price=Decimal("12.5"))
    Console(file=screen, width=80).print(draw(status(segments=4, **counts), policy, pace))
    assert words in screen.getvalue()
    assert "50 XOF" in screen.getvalue()


@pytest.fixture
def delivering(server: SandboxServer) -> Iterator[None]:
    """Make the sandbox deliver at once."""
    before, server.gateway.delivery = server.gateway.delivery, DeliveryPlan(0.0, 0.0)
    yield
    server.gateway.delivery = before


def test_with_track_it_stays_until_all_is_final(
    inside: Run, contacts: Callable[..., str], delivering: None
) -> None:
    finished = send(inside, contacts(3), "--track")
    assert finished.returncode == 0
    assert "Ctrl-C ends that, and" in finished.stdout
    assert "3  delivered" in finished.stdout
    *_, end, delivery = events(send(inside, contacts(2), "--track", "--json"))
    assert (end["event"], end["accepted"]) == ("end", 2)
    assert (delivery["event"], delivery["delivered"], delivery["waiting"]) == ("delivery", 2, 0)


def test_without_it_nothing_is_waited_for(inside: Run, contacts: Callable[..., str]) -> None:
    finished = send(inside, contacts(3))
    assert "delivery reports" not in finished.stdout + finished.stderr


def test_with_track_a_gateway_without_the_call_is_one_sentence_and_no_failure(
    inside: Run, contacts: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_STATUS_PATH", "/v1/nowhere")
    finished = send(inside, contacts(3), "--track")
    assert finished.returncode == 0
    assert "The gateway has no delivery status call at VAVASMS_STATUS_PATH" in finished.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_it_stays_harms_nothing(contacts: Callable[..., str], server: SandboxServer) -> None:
    command = [
        sys.executable,
        "-m",
        "vavasms",
        "campaign",
        "run",
        contacts(2),
        "--message",
        "B",
        "--yes",
        "--track",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        for line in process.stdout:
            if "Asking for delivery reports" in line:
                break
        # It says so at its first look.
        assert process.stderr.readline().startswith("fate known")
        process.send_signal(signal.SIGINT)
        _out, shown = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert "To ask again: vavasms campaign track" in shown
    assert set(server.gateway.journal.counts().values()) == {1}


@pytest.mark.parametrize(
    ("text", "share"), [("80%", "0.8"), ("80 %", "0.8"), ("0.8", "0.8"), ("62.5%", "0.625")]
)
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: str) -> None:
    assert parse_share(text) == Decimal(share)


@pytest.mark.parametrize("text", ["many", "80", "0", "-5%", "120%", "8%0", "nan"])
def test_a_share_that_is_none_is_refused(inside: Run, contacts: Callable[..., str], text: str) -> None:
    finished = send(inside, contacts(2), f"--min-delivery={text}")
    assert finished.returncode == exit_codes.USAGE
    assert "Nothing was sent" in finished.stderr or "nothing was sent" in finished.stderr


def test_the_limits_of_delivery_are_kept_with_the_campaign(
    inside: Run, contacts: Callable[..., str], ledger: Path
) -> None:
    send(inside, contacts(2), "--min-delivery", "80%", "--no-track")
    (campaign,) = kept(inside)

    async def read() -> Policy:
        async with await SqliteLedger.open(ledger) as opened:
            return load_policy((await opened.campaign(campaign["id"])).policy)

    policy = anyio.run(read)
    assert (policy.min_delivery, policy.track) == (Decimal("0.8"), False)
