"""The lines that a command shows to be pasted into a shell."""

from __future__ import annotations

import os
import subprocess

import pytest

from vavasms.cli.shell import write_setting

AWKWARD = "/tmp/l'été à $HOME.toml"


def test_a_plain_value_is_set_as_it_is() -> None:
    assert write_setting("NAME", "https://sms.example.ci/d/", system="posix") == (
        "export NAME=https://sms.example.ci/d/"
    )


def test_powershell_has_its_own_line_and_doubles_a_quote() -> None:
    assert write_setting("NAME", AWKWARD, system="nt") == "$env:NAME = '/tmp/l''été à $HOME.toml'"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_shell_reads_an_awkward_value_as_it_was() -> None:
    script = f'{write_setting("NAME", AWKWARD)}\nprintf %s "$NAME"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode() == AWKWARD
