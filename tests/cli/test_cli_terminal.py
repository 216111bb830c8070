"""What a terminal of 80 columns shows: colours and a bar there, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

pty = pytest.importorskip("pty")


@pytest.fixture
def terminal(bare_environment: dict[str, str]) -> Callable[..., str]:
    """Run a command in a pseudo-terminal; give all it wrote."""

    def call(*arguments: str, typed: bytes = b"", **more: str) -> str:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "vavasms", *arguments]
        environment = bare_environment | {"TERM": "xterm-256color"} | more
        with subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
        ):
            os.close(theirs)
            os.write(ours, typed)
            found = b""
            while chunk := _read(ours):
                found += chunk
        os.close(ours)
        return found.decode()

    return call


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""


def test_on_a_terminal_there_are_colours_and_a_bar(terminal: Callable[..., str]) -> None:
    shown = terminal("demo", "--rows", "100")
    assert "\x1b[1;32mThe account adds up" in shown
    assert "━" in shown


def test_no_color_is_honoured(terminal: Callable[..., str]) -> None:
    shown = terminal("balance", NO_COLOR="1")
    assert "No credentials" in shown
    assert "\x1b[3" not in shown


def test_an_error_is_red_on_a_terminal(terminal: Callable[..., str]) -> None:
    assert "\x1b[31mNo credentials" in terminal("balance")


def test_numbers_may_be_typed_and_their_fate_is_coloured(terminal: Callable[..., str]) -> None:
    shown = terminal("numbers", "check", typed=b"0700000001\n27 22 41 20 00\n\x04\x04")
    assert "Type one number a line" in shown
    assert "\x1b[32mkept" in shown
    assert "\x1b[31mrefused" in shown
