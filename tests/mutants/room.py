"""The rooms whose mutants are looked for, as `pyproject.toml` has them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.mutants.mutant import Mutant
from tests.mutants.operators import Enums, find_enums, find_mutants
from tests.mutants.statements import find_queries

ROOT = Path(__file__).parents[2]


@frozen(kw_only=True)
class Room:
    """Some files, and the tests that ought to notice a change of them."""

    name: str
    #: Python and SQL, from the root of the project.
    files: tuple[str, ...]
    #: Files and folders of tests, the quick ones.
    tests: tuple[str, ...]
    #: An expression for `pytest -k`: tests that take seconds, or are about something else.
    keyword: str = ""
    #: Names of functions, methods, classes and statements; empty: all of the files.
    only: tuple[str, ...] = ()
    #: It takes a PostgreSQL.
    needs_postgres: bool = False

    def has(self, mutant: Mutant) -> bool:
        """Return whether a mutant is in what is looked at."""
        return not self.only or any(_is_within(mutant.where, name) for name in self.only)


def _is_within(where: str, name: str) -> bool:
    return where == name or where.startswith(f"{name}.") or where.endswith(f".{name}")


def read_rooms() -> dict[str, Room]:
    """Return all rooms by name."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    rooms: dict[str, Any] = document["tool"]["mutants"]
    return {name: _read_room(name, values) for name, values in rooms.items()}


def _read_room(name: str, values: dict[str, Any]) -> Room:
    read: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    read["keyword"] = " ".join(read.get("keyword", "").split())
    return Room(name=name, **read)


def mutants_of(room: Room) -> list[Mutant]:
    """Return the mutants of a room."""
    enums = find_enums(ROOT / "vavasms")
    return [mutant for file in room.files for mutant in _mutants_of(file, enums) if room.has(mutant)]


def _mutants_of(file: str, enums: Enums) -> list[Mutant]:
    source = (ROOT / file).read_text("utf-8")
    return find_queries(file, source) if file.endswith(".sql") else find_mutants(file, source, enums)
