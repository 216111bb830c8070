"""How commands end: exit codes, one line of error, interrupts, readers that leave."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.cli.processes import start
from vavasms.cli import exit_codes, output, signals
from vavasms.cli.app import app
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    ServerError,
    UnexpectedReplyError,
    VavaSMSError,
)
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("x"), 2),
        (ConfigurationError("x", outcome=Outcome.NOT_SENT), 2),
        (ConfigurationError("x"), 2),
        (ConfigurationError("x", outcome=Outcome.UNKNOWN), 4),
        (RejectedNumberError("x", outcome=Outcome.REJECTED), 3),
        (RejectedNumberError("x", outcome=Outcome.UNKNOWN), 4),
        (OutcomeUnknownError("x", outcome=Outcome.UNKNOWN), 4),
        (NotSentError("x", outcome=Outcome.NOT_SENT), 5),
        (RateLimitedError("x", retry_after=1, outcome=Outcome.NOT_SENT), 5),
        (AuthenticationError("x"), 3),
        (NotSentError("x"), 5),
        (ServerError("x"), 5),
        (UnexpectedReplyError("x"), 5),
    ],
)
def test_every_error_has_the_documented_exit_code(error: VavaSMSError, code: int) -> None:
    assert exit_codes.code_of(error) == code


def test_of_several_outcomes_unknown_comes_first_then_rejected_then_not_sent() -> None:
    assert exit_codes.worst(set(Outcome)) == 4
    assert exit_codes.worst({Outcome.ACCEPTED, Outcome.NOT_SENT, Outcome.REJECTED}) == 3
    assert exit_codes.worst([Outcome.NOT_SENT, Outcome.ACCEPTED]) == 5
    assert exit_codes.worst([Outcome.ACCEPTED]) == exit_codes.worst([]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("blance",), "did you mean 'balance'?"),
        (("xyzzy",), "see `vavasms --help`"),
        (("otp", "vrify"), "did you mean 'verify'?"),
        (("solde",), "has no command 'solde': did you mean 'balance'?"),
        (("Numéros",), "did you mean 'numbers'?"),
        (("aide",), "did you mean '--help'?"),
        (("send", "+2250700000001", "--mesage", "x"), "no option --mesage (did you mean --message?)"),
        (("send", "+2250700000001", "--xyzzy", "x"), "no option --xyzzy: see `vavasms send --help`"),
        (
            ("sends", "list", "--state", "toto"),
            "--state is one of `queued`, `sending`, `accepted`, `rejected`,",
        ),
        (("sends", "list", "--state", "sendin"), "`unknown`: did you mean `sending`?"),
        (("campaign", "plan", "x.csv", "--unit-price", "250,000"), "an amount such as 12.5 or 250000, not"),
        (("segments", "two", "words"), "'words' is one word too many"),
        # Its last segment is the token.
        (("segments", "two", "https://host.example/sms/token"), "'…' is one word too many"),
        (("demo", "--rows", "many"), "--rows"),
        (("demo", "--rows", "0"), "1 to 1,000,000"),
        (("demo", "--rows", "5", "--rows", "6"), "--rows specified multiple times. Nothing was sent"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_2(inside: Run, words: tuple[str, ...], said: str) -> None:
    finished = inside(*words)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1
    assert said in finished.stderr


@pytest.mark.parametrize(
    ("words", "is_said"),
    [
        (("campaign", "status", "zzzz"), False),
        (("campaign", "list", "--limit"), False),
        (("sends", "show"), False),
        (("campaign", "rnu", "list.csv"), True),
        (("send",), True),
    ],
)
def test_only_what_could_have_sent_says_that_nothing_was(
    inside: Run, words: tuple[str, ...], is_said: bool
) -> None:
    finished = inside(*words)
    assert finished.returncode == 2
    assert ("Nothing was sent" in finished.stderr) is is_said


@pytest.mark.parametrize(
    "words",
    [
        ("sends", "list", "--limit", "1.5"),
        ("campaign", "plan", "list.csv", "--message", "x", "--batch-size=2.0"),
        ("campaign", "resolve", "3f9a1c07", "--batch", "1.5"),
    ],
)
def test_a_fraction_is_no_whole_number(inside: Run, words: tuple[str, ...]) -> None:
    finished = inside(*words)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "takes a whole number, not '" in finished.stderr


@pytest.fixture
def boom() -> Iterator[None]:
    def boom() -> None:
        raise RuntimeError("password=hunter2")

    app.command(boom)
    yield
    del app["boom"]


@pytest.mark.usefixtures("boom")
def test_a_fault_of_our_own_is_one_line_without_its_words_and_exit_1(inside: Run) -> None:
    finished = inside("boom")
    assert finished.returncode == 1
    assert (
        finished.stderr == "A fault of vavasms itself (RuntimeError); VAVASMS_DEBUG=1 shows where. [fault]\n"
    )


@pytest.mark.usefixtures("boom")
def test_debug_shows_the_traceback(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_DEBUG", "1")
    assert "Traceback" in inside("boom").stderr


@posix
@pytest.mark.usefixtures("account")
def test_an_interrupted_send_says_what_became_of_it_and_exits_130(server: SandboxServer) -> None:
    stall = Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.8)
    server.faults.script(stall)
    command = [sys.executable, "-m", "vavasms", "send", "+2250700000001", "--message", "x"]
    with start(command) as process:
        assert server.faults.wait_taken(1, timeout=20)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines() == [
        "Interrupted: waiting for what is under way. Ctrl-C again does not wait.",
        "Interrupted: the call under way ended: the gateway took it. [interrupted]",
    ]


@posix
@pytest.mark.parametrize("words", ["segments x", "--help", "segments x --json"])
def test_output_that_nobody_reads_is_no_fault_of_ours(bare_environment: dict[str, str], words: str) -> None:
    line = f"{{ '{sys.executable}' -m vavasms {words}; echo $? >&2; }} | true"
    finished = subprocess.run(
        ["sh", "-c", line], check=False, capture_output=True, text=True, timeout=30, env=bare_environment
    )
    assert finished.stderr == "141\n"


@posix
@pytest.mark.usefixtures("account")
def test_a_closed_output_does_not_make_a_fault_of_a_send(server: SandboxServer) -> None:
    line = f"'{sys.executable}' -m vavasms send +2250700000001 --message x >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False, timeout=30).returncode == 0
    assert len(server.gateway.journal) == 1


def test_off_the_main_thread_ctrl_c_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with signals.announced():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@posix
def test_a_reader_that_leaves_ends_the_command_without_a_word(bare_environment: dict[str, str]) -> None:
    line = f"seq 2250700000000 2250700030000 | '{sys.executable}' -m vavasms numbers check | head -1"
    finished = subprocess.run(
        ["sh", "-c", line], check=False, capture_output=True, text=True, timeout=30, env=bare_environment
    )
    assert finished.stderr == ""
    assert finished.stdout.count("\n") == 1


def test_what_a_terminal_cannot_show_becomes_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.prepare_streams()
    output.say("Envoyé →")
    sys.stdout.flush()
    assert raw.getvalue() == b"Envoy? ?\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Envoyé", "Envoyé"),
        ("a\tb\r\nc", "a b c"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\u202eevil\u2066\u009b", "evil"),
        ("\ud800x", "x"),
        ("[link=http://x]y[/link]", "[link=http://x]y[/link]"),
    ],
)
def test_text_from_outside_is_one_harmless_line(text: str, shown: str) -> None:
    assert output.clean(text) == shown


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", '"é€😀\\u202e\\u009b\\n\\u2028\\ud800\\udb40\\udc41"\n'),
        ("cp1252", '"é€\\ud83d\\ude00\\u202e\\u009b\\n\\u2028\\ud800\\udb40\\udc41"\n'),
        ("ascii", '"\\u00e9\\u20ac\\ud83d\\ude00\\u202e\\u009b\\n\\u2028\\ud800\\udb40\\udc41"\n'),
    ],
)
def test_json_has_letters_as_they_are_where_they_can_be_and_nothing_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch, encoding: str, printed: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="")
    monkeypatch.setattr(sys, "stdout", stream)
    value = "é€😀\u202e\x9b\n\u2028\ud800\U000e0041"
    output.print_json(value)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert (text, json.loads(text)) == (printed, value)
