"""The journal of a probe: whole or not, one account's, one probe's at a time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from vavasms.errors import ConfigurationError
from vavasms.probe.journal import open_journal, place_journal
from vavasms.probe.knowledge import make_facts, make_intent, make_outcome
from vavasms.profile.models import UNKNOWN, GatewayProfile

ME = "me@example.com vavasms.com"


def refused(path: Path, account: str = ME) -> str:
    with pytest.raises(ConfigurationError) as caught, open_journal(path, account, UNKNOWN):
        pass
    assert caught.value.error_code == "config.probe_journal"
    return caught.value.english.removeprefix(f"The journal {path} of the probe: ")


def test_what_is_written_is_known_to_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "p.toml.journal"
    assert place_journal(tmp_path / "p.toml") == path
    with open_journal(path, ME, UNKNOWN) as journal:
        journal.write(make_intent("plain", 1))
        journal.write(make_outcome("plain", "accepted", 1))
        journal.write(make_facts(GatewayProfile(unit_price=Decimal(10)), free_sizes={2: True, 4: False}))
        journal.write(make_intent("lot", 1))
        first = journal.known
    with open_journal(path, ME, UNKNOWN) as journal:
        assert journal.known == first
        assert (journal.known.spent, journal.known.may_have_spent) == (1, 1)
        assert journal.known.free_sizes == {2: True, 4: False}
    assert "example" not in path.read_text()


@pytest.mark.parametrize("size", range(1, 40))
def test_a_line_that_a_crash_cut_off_counts_as_not_written(size: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, ME, UNKNOWN) as journal:
        journal.write(make_intent("plain", 1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "intent", "request": "lot", "most": 1}'[:size])
    with open_journal(path, ME, UNKNOWN) as journal:
        assert journal.known.tried == {"plain"}
        journal.write(make_intent("ucs2", 1))
    with open_journal(path, ME, UNKNOWN) as journal:
        assert journal.known.tried == {"plain", "ucs2"}


def test_a_crash_at_its_first_line_leaves_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"event": "pro')
    with open_journal(path, ME, UNKNOWN) as journal:
        assert journal.known.tried == set()


def test_two_probes_do_not_share_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, ME, UNKNOWN):
        assert refused(path) == "another probe is at work on it. Nothing was sent."
    with open_journal(path, ME, UNKNOWN):
        pass


def test_it_is_one_accounts(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, ME, UNKNOWN):
        pass
    assert refused(path, "you") == "it is another account's, or no journal of a probe. Nothing was sent."


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[1]",
        b"\xff",
        b'{"event": "intent"}',
        b'{"event": "learnt", "profile": "batch_size = 0"}',
    ],
)
def test_a_line_that_cannot_be_read_is_refused(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, ME, UNKNOWN):
        pass
    path.write_bytes(path.read_bytes() + line + b"\n")
    assert refused(path) == "a line of it cannot be read. Nothing was sent."


def test_where_it_cannot_be_written_nothing_begins(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere" / "journal").startswith("it cannot be written (No such file")


def test_what_the_profile_says_already_is_known(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal", ME, GatewayProfile(batch_size=7)) as journal:
        journal.write(make_facts(GatewayProfile(unit_price=Decimal(10))))
        assert journal.known.profile == GatewayProfile(batch_size=7, unit_price=Decimal(10))
