"""Mutants are what they should be, and the command finds those that no test notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.harmless import Harmless, find_stale, reason_of
from tests.mutants.mutant import Kind
from tests.mutants.operators import find_enums, find_mutants
from tests.mutants.room import ROOT, mutants_of, read_rooms
from tests.mutants.statements import find_queries

MODULE = '''
from x import Outcome

LIMIT = 3
TABLE = {Outcome.SENT: 1, Outcome.LOST: 2}

class Judge:
    @property
    def is_final(self) -> bool:
        """Whether it is."""
        return self.tries >= LIMIT

def judge(known, tries=0, reply=None):
    if reply and known:
        raise ValueError(_("It is {what}.", what=reply))
    note(reply)
    return Outcome.SENT
'''

QUERIES = """-- name: settle
-- Fenced.
UPDATE batch SET state = :state, token = NULL
WHERE number = :number AND (token = :token OR state IN ('sending', 'unknown'))
"""


def test_tables_and_properties_are_changed_as_functions_are() -> None:
    found = find_mutants("judge.py", MODULE, {"Outcome": ["SENT", "LOST"]})
    changes = {(mutant.kind, mutant.where, mutant.after) for mutant in found}
    assert changes >= {
        (Kind.MODULE, "", "LIMIT = 4"),
        (Kind.MODULE, "", "TABLE = {Outcome.LOST: 2}"),
        (Kind.MODULE, "", "TABLE = {Outcome.LOST: 1, Outcome.LOST: 2}"),
        (Kind.FUNCTION, "Judge.is_final", "return self.tries > LIMIT"),
        (Kind.MODULE, "judge", "def judge(known, tries=1, reply=None):"),
        (Kind.FUNCTION, "judge", "if reply or known:"),
        (Kind.FUNCTION, "judge", "if reply:"),
        (Kind.FUNCTION, "judge", "pass"),
        (Kind.FUNCTION, "judge", "return Outcome.LOST"),
    }


def test_messages_docstrings_and_annotations_are_left_alone() -> None:
    found = find_mutants("judge.py", MODULE, {})
    assert not [mutant for mutant in found if "XX" in mutant.after or mutant.before.startswith("from")]
    assert not [mutant for mutant in found if "what=None" in mutant.after or "-> None" in mutant.after]


def test_a_mutant_changes_what_it_says_and_nothing_else() -> None:
    for mutant in find_mutants("judge.py", MODULE, {}):
        changed = mutant.apply(MODULE)
        first, _last = mutant.lines
        assert changed.splitlines()[: first - 1] == MODULE.splitlines()[: first - 1]
        assert changed != MODULE
        compile(changed, "judge.py", "exec")


def test_each_condition_and_each_value_of_a_statement_is_left_out_once() -> None:
    made = {mutant.apply(QUERIES).partition("Fenced.\n")[2] for mutant in find_queries("q.sql", QUERIES)}
    where = "WHERE number = :number AND (token = :token OR state IN ('sending', 'unknown'))\n"
    head = "UPDATE batch SET state = :state, token = NULL\n"
    assert made >= {
        head + where.replace("number = :number", "TRUE"),
        head + where.replace("token = :token", "FALSE"),
        head + where.replace("state IN ('sending', 'unknown')", "FALSE"),
        head + where.replace("'sending', ", " "),
        head + where.replace("IN", "NOT IN"),
        head + where.replace("number = :", "number <> :"),
        head.replace(" state = :state,", " ") + where,
        head.replace(", token = NULL", "") + where,
    }


def test_what_is_harmless_is_said_of_a_line_or_of_one_change_of_it() -> None:
    found = find_mutants("judge.py", MODULE, {})
    whole = Harmless(file="judge.py", where="judge", before="note(reply)", reason="a note")
    one = Harmless(file="judge.py", where="", before="LIMIT = 3", after="LIMIT = 4", reason="as good")
    gone = Harmless(file="judge.py", where="judge", before="note(answer)", reason="gone")
    reasons = {mutant.after: reason_of(mutant, [whole, one, gone]) for mutant in found}
    assert (reasons["pass"], reasons["note(None)"]) == ("a note", "a note")
    assert (reasons["LIMIT = 4"], reasons["LIMIT = None"]) == ("as good", None)
    assert find_stale([whole, one, gone], found) == [gone]


def test_every_room_has_files_tests_and_functions_that_exist() -> None:
    for room in read_rooms().values():
        assert all((ROOT / path).exists() for path in (*room.files, *room.tests))
        sources = "\n".join((ROOT / file).read_text("utf-8") for file in room.files)
        assert [name for name in room.only if name.rpartition(".")[2] not in sources] == []


def test_the_members_of_the_packages_enums_are_found() -> None:
    assert find_enums(ROOT / "vavasms")["Outcome"] == ["ACCEPTED", "REJECTED", "NOT_SENT", "UNKNOWN"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a mutant is a forked process")
def test_the_command_kills_every_mutant_of_a_small_function(tmp_path: Path) -> None:
    name = "RetryBudget.spend"
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.mutants", "retry", "--function", name, "--json", str(figures)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    room = json.loads(figures.read_text("utf-8"))["rooms"]["retry"]
    count = sum(mutant.where == name for mutant in mutants_of(read_rooms()["retry"]))
    assert count > 10
    assert (room["mutants"], room["killed"], room["survived"]) == (count, count, 0)
