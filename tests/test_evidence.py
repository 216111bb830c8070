"""The page of evidence says what the figures beside it say."""

from __future__ import annotations

import json

from benchmarks.evidence import KEPT, PAGE, render


def test_the_page_is_what_the_figures_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_figure_names_its_commit_its_day_and_its_command() -> None:
    for file in KEPT.glob("*.json"):
        kept = json.loads(file.read_text(encoding="utf-8"))
        assert set(kept) == {"command", "commit", "date", "figures"}
        assert all(kept.values())
