"""The words of the code: names that a stranger finds, docstrings as PEP 257 has them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import vavasms

#: They read the code and run none of it.
pytestmark = pytest.mark.exhaustive

ROOT = Path(vavasms.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
#: What a docstring does not begin with: a function returns, it does not give, say or tell.
NOT_FIRST = {
    "Give",
    "Gives",
    "Say",
    "Says",
    "Tell",
    "Tells",
    "Have",
    "Has",
    "Let",
    "Lets",
    "Look",
    "Looks",
    "Hand",
}
#: Gerunds that are the field's own names: delivery tracking, case folding; planning, sending and testing as packages
#: (query planning, `django.test` and `numpy.testing`).
GERUNDS = {"tracking", "folding", "planning", "sending", "testing"}
#: One class for two engines, and what Django finds by its name, may have one name in two modules.
SHARED = {"Command", "Meta", "Migration"}


def documented(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the first word of each docstring."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text.split()[0].rstrip(".,:;")


@pytest.mark.parametrize("folder", [ROOT, TESTS], ids=["vavasms", "tests"])
def test_a_docstring_begins_with_what_the_function_does(folder: Path) -> None:
    wrong = [
        f"{path.relative_to(folder)}:{line}: {word}"
        for path in sorted(folder.rglob("*.py"))
        for line, word in documented(path)
        if word in NOT_FIRST
    ]
    assert wrong == []


def test_no_module_is_a_gerund_but_those_of_the_field() -> None:
    names = {part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert {name for name in names if name.endswith("ing")} == GERUNDS


def test_a_class_has_one_name_in_one_module() -> None:
    homes = defaultdict(set)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(path.relative_to(ROOT).as_posix())
    assert {name: sorted(home) for name, home in homes.items() if len(home) > 1 and name not in SHARED} == {}
