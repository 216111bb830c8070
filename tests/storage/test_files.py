"""Nobody else on the machine reads a ledger, not even while it is being made."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from vavasms.errors import ConfigurationError, LedgerBusyError, LedgerError
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.storage.sqlite.files import file_id, make_private

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="no such modes on Windows"),
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_the_file_and_what_sqlite_puts_beside_it_are_private(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "ledger.db"
    before = os.umask(umask)
    try:
        async with await SqliteLedger.open(path) as ledger, ledger.take_over(1.0):
            await ledger.statuses()
            names = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert mode(path.parent) == 0o700
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"} <= names.keys()
    assert set(names.values()) == {0o600}


def test_others_who_can_read_an_old_file_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.db"
    make_private(path)
    make_private(path)
    assert not caplog.records
    path.chmod(0o640)
    make_private(path)
    assert "chmod 600" in caplog.text
    assert mode(path) == 0o640


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private(tmp_path / "ledger.db")
    assert (mode(tmp_path), mode(tmp_path / "ledger.db")) == (0o755, 0o600)


async def test_a_place_that_takes_no_file_is_an_error_of_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "ledger.db", tmp_path):
        with pytest.raises(LedgerError):
            await SqliteLedger.open(path)


async def test_two_names_of_one_file_are_one_ledger(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "ledger.db")
    # The link leads to nothing yet: what is made there is private too.
    before = os.umask(0o022)
    try:
        async with await SqliteLedger.open(link) as ledger, ledger.take_over(1.0):
            assert mode(tmp_path / "ledger.db") == 0o600
            async with await SqliteLedger.open(tmp_path / "ledger.db") as other:
                with pytest.raises(LedgerBusyError):
                    async with other.take_over(2.0):
                        raise AssertionError("two runners at a time")
    finally:
        os.umask(before)


@pytest.mark.parametrize("path", ["", ":memory:", Path(), Path(":memory:")])
async def test_a_ledger_that_is_no_file_is_refused(
    path: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="names no file"):
        await SqliteLedger.open(path)
    assert not (tmp_path / ":memory:").exists()


@pytest.mark.parametrize("name", ["round.db", "nul\0.db"])
async def test_a_name_that_leads_nowhere_is_an_error_of_the_ledger(tmp_path: Path, name: str) -> None:
    (tmp_path / "round.db").symlink_to(tmp_path / "round.db")
    with pytest.raises(LedgerError):
        await SqliteLedger.open(tmp_path / name)


def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"^The file .*/a+ cannot be made: [^.]+\.$"):
        make_private(tmp_path / ("a" * 300))


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere Python itself tells the time of birth, or nobody"
)
@pytest.mark.parametrize("error", [AttributeError("statx"), OSError(38, "Function not implemented")])
def test_where_no_birth_is_known_a_file_is_told_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_: None) -> NoReturn:
        raise error

    monkeypatch.setattr("vavasms.storage.sqlite.files.ctypes.CDLL", refuse)
    assert file_id(tmp_path) == tmp_path.stat().st_ino
