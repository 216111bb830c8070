"""`otp send`, `otp verify`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]
TO = "+2250700000001"

pytestmark = pytest.mark.usefixtures("account")


def test_a_code_that_was_sent_verifies(inside: Run, server: SandboxServer) -> None:
    sent = inside("otp", "send", TO, "--length", "6", "--valid-for", "10", "--template", "Code ##OTP##")
    entry = server.gateway.journal.entries[0]
    assert sent.returncode == 0
    assert entry.message == "Code 042317"
    assert entry.message_id(0) in sent.stdout
    right = inside("otp", "verify", TO, "042317")
    assert (right.returncode, right.stdout, right.stderr) == (0, "The code is right.\n", "")


def test_json_of_both_names_the_recipient_by_digits(inside: Run) -> None:
    sent = json.loads(inside("otp", "send", TO, "--json").stdout)
    assert sent["recipient"] == "2250700000001"
    finished = inside("otp", "verify", TO, "0423", "--json")
    assert finished.returncode == 0
    assert json.loads(finished.stdout) == {
        "recipient": "2250700000001",
        "valid": True,
        "reason": None,
        "message_id": sent["message_id"],
    }


@pytest.mark.parametrize(
    ("to", "reason", "words"),
    [
        ("+2250700000913", "INVALID_OTP", "The code is wrong."),
        ("+2250700000914", "EXPIRED_OTP", "The code has expired."),
        ("+2250700000915", "OTP_NOT_FOUND", "There is no code to check for this number"),
    ],
)
def test_a_code_that_does_not_pass_is_exit_3_with_a_plain_sentence(
    inside: Run, to: str, reason: str, words: str
) -> None:
    finished = inside("otp", "verify", to, "0000")
    assert finished.returncode == 3
    assert words in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert finished.stdout == ""
    as_json = inside("otp", "verify", to, "0000", "--json")
    assert as_json.returncode == 3
    assert json.loads(as_json.stdout)["reason"] == reason


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("send", TO, "--length", "3"), "4 to 9"),
        (("send", TO, "--length", "10"), "4 to 9"),
        (("send", TO, "--length", "six"), "--length"),
        (("send", TO, "--template", "no tag"), "##OTP##"),
        (("send", TO, "--valid-for", "0"), "whole minutes"),
        (("send", TO, "--valid-for", "99999999999999999"), "lives that long"),
        (("send", "+22507000001"), "+2250707000001"),
        (("send",), "TO"),
        (("verify", TO, "12"), "4 to 9"),
        (("verify", TO), "CODE"),
    ],
)
def test_wrong_input_is_one_line_exit_2_and_nothing_sent(
    inside: Run, server: SandboxServer, arguments: tuple[str, ...], words: str
) -> None:
    finished = inside("otp", *arguments)
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert words in finished.stderr
    assert "othing was sent" in finished.stderr
    assert len(server.gateway.journal) == 0


def test_what_can_be_no_code_is_told_to_programs_too(inside: Run) -> None:
    finished = inside("otp", "verify", TO, "abc", "--json")
    assert finished.returncode == 2
    found = json.loads(finished.stdout)
    assert (found["valid"], found["reason"], found["message_id"]) == (False, "MALFORMED", None)
