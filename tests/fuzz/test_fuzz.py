"""A second of each search: the same inputs each time, and a law that is broken is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from tests.fuzz.__main__ import main
from tests.fuzz.engines import fuzz, has_atheris, hold, shrink
from tests.fuzz.target import TARGETS, load_target

pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("name", TARGETS)
def test_the_law_is_kept_by_what_is_well_formed(name: str) -> None:
    target = load_target(name)
    for data in target.seeds:
        target.check(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_law_is_kept_by_a_second_of_inputs(name: str) -> None:
    target = load_target(name)
    hold(target, target.check, examples=target.smoke, seed=1)


def test_an_input_that_breaks_the_law_is_found_and_shrunk() -> None:
    seen: list[bytes] = []

    def check(data: bytes) -> None:
        seen.append(data)
        assert b"EST" not in data

    target = load_target("retry_after")
    with pytest.raises(AssertionError):
        hold(evolve(target, check=check), check, examples=2000, seed=1)
    assert seen[-1] == b"EST"


def test_an_input_is_shrunk_to_what_cannot_be_spared() -> None:
    def check(data: bytes) -> None:
        assert not (b"(" in data and b")" in data)

    assert shrink(check, b"Sun, 15 (Jun) 2025" * 20) == b"()"


@pytest.mark.slow
@pytest.mark.skipif(not has_atheris(), reason="no wheel of atheris here")
def test_the_guided_engine_counts_what_it_did(tmp_path: Path) -> None:
    figures = fuzz("retry_after", engine="atheris", seconds=1, seed=1, folder=tmp_path)
    assert (figures.crashes, figures.crash, figures.report) == (0, None, "")
    assert figures.executions > 100
    assert figures.edges is not None
    assert figures.edges > 10


def test_the_figures_are_kept_by_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    file.write_text('{"other": {}}')
    options = ["--minutes", "0", "--engine", "hypothesis", "--seed", "1", "--json", str(file)]
    monkeypatch.setattr("sys.argv", ["fuzz", "retry_after", *options, "--folder", str(tmp_path)])
    assert main() == 0
    assert "the law is kept" in capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert set(figures) == {"other", "retry_after"}
    assert figures["retry_after"]["executions"] > 0
