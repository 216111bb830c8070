"""`campaign plan` goes by the gateway's profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.staging import phones


def test_the_command_line_plans_by_the_profile(
    inside: Callable[..., Any], account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("list.csv").write_text("\n".join(["phone", *phones(50)]))
    Path("gateway.toml").write_text("batch_size = 20\nunit_price = 12\n")
    monkeypatch.setenv("VAVASMS_PROFILE", "gateway.toml")
    words = ("campaign", "plan", "list.csv", "--message", "Bonjour")
    shown = inside(*words)
    assert "3 of up to 20 numbers" in shown.stdout
    assert "600 XOF" in shown.stdout
    # What is to be copied names no option that nobody gave.
    assert "--batch-size" not in shown.stdout
    assert "1 of up to 70 numbers" in inside(*words, "--batch-size", "70").stdout
    Path("gateway.toml").write_text("batch_size = 0")
    refused = inside(*words)
    assert refused.returncode == 2
    assert "The gateway profile gateway.toml: batch_size must be" in " ".join(refused.stderr.split())
