"""Each mistake can still be made in the code as it stands, and Python takes it."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.mistakes.__main__ import ROOT, plant
from tests.mistakes.catalog import MISTAKES, Mistake


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_a_mistake_changes_the_code_as_it_stands(tmp_path: Path, mistake: Mistake) -> None:
    for name in {name for name, _old, _new in mistake.edits}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    plant(mistake, tmp_path)
    for name, _old, _new in mistake.edits:
        changed = (tmp_path / name).read_text(encoding="utf-8")
        assert changed != (ROOT / name).read_text(encoding="utf-8")
        if name.endswith(".py"):
            ast.parse(changed)
    assert all((ROOT / test).exists() for test in mistake.tests)


def test_a_mistake_that_has_no_place_any_more_is_told(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("a = 1\na = 1\n", encoding="utf-8")
    for old in ("a = 1", "b = 1"):
        with pytest.raises(ValueError, match="times in"):
            plant(Mistake("none", (("file.py", old, ""),), ()), tmp_path)


def test_the_names_of_mistakes_are_different() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 30
