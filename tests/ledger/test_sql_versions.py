"""No statement needs a newer SQLite than systems in use bring: before 3.39 there is no HAVING without GROUP BY."""

from __future__ import annotations

from pathlib import Path

import pytest

import vavasms

ROOT = Path(vavasms.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.sql") if "sqlite" in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_having_stands_with_its_group_by(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("--")]
    selects = "\n".join(lines).split("SELECT")
    assert not [select for select in selects if "HAVING" in select and "GROUP BY" not in select]


def test_there_are_files() -> None:
    assert len(FILES) > 5
