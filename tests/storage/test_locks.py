"""A lock on a file itself: one holder on the machine, by whatever handle, and a file with one name only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vavasms.errors import LedgerError
from vavasms.storage.sqlite.locks import FileHandle, hold_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    path.touch()
    return path


@pytest.fixture
def handle(path: Path) -> Iterator[FileHandle]:
    handle = hold_file(path)
    yield handle
    handle.release()


def test_a_lock_of_another_handle_keeps_a_file_locked_until_it_is_released(
    path: Path, handle: FileHandle
) -> None:
    # As another process has the file.
    descriptor = os.open(path, os.O_RDWR)
    other = FileHandle(path, (0, 0, 0), descriptor)
    try:
        assert other.lock()
        assert not handle.lock()
        other.unlock()
        assert handle.lock()
        assert not handle.lock()
        assert not other.lock()
    finally:
        os.close(descriptor)


def test_a_second_name_is_refused_and_who_has_the_file_keeps_it(path: Path, handle: FileHandle) -> None:
    second = path.with_name("b.db")
    os.link(path, second)
    for name in (path, second):
        with pytest.raises(LedgerError, match="more than one name"):
            hold_file(name)
    assert handle.users == 1
    second.unlink()
    assert hold_file(path) is handle
    handle.release()


def test_a_file_that_is_not_there_is_one_sentence(path: Path) -> None:
    with pytest.raises(LedgerError, match=r"none\.db cannot be opened: [^.]+\.$"):
        hold_file(path.with_name("none.db"))
