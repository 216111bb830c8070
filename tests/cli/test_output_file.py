"""`--output FILE`: whole or not there, for its owner alone, and never over another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vavasms.cli.commands.campaign.report import report
from vavasms.cli.output_file import open_binary, open_text
from vavasms.errors import InvalidInputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with open_text(str(path)) as out:
        out.write("é\n")
        assert names(tmp_path) == ["report.csv.part"]
    assert names(tmp_path) == ["report.csv"]
    assert path.read_bytes() == "é\n".encode()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("ours")])
def test_what_fails_on_the_way_leaves_no_file(tmp_path: Path, error: Exception) -> None:
    expected = InvalidInputError if isinstance(error, OSError) else KeyError
    with pytest.raises(expected) as raised, open_binary(str(tmp_path / "report.xlsx")) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == []
    if expected is InvalidInputError:
        assert "No space left on device" in str(raised.value)


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with pytest.raises(InvalidInputError, match="there is one already"), open_text(str(path)) as out:
        out.write("mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["report.csv"]


def test_half_a_file_of_another_run_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "report.csv.part").write_text("theirs")
    with pytest.raises(InvalidInputError, match="cannot be written"), open_text(str(tmp_path / "report.csv")):
        pass
    assert (tmp_path / "report.csv.part").read_text() == "theirs"


def test_without_a_name_it_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with open_binary(None) as file:
        file.write(b"\x00\xff")
        file.flush()
    assert capfdbinary.readouterr().out == b"\x00\xff"


def test_a_terminal_gets_no_spreadsheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(InvalidInputError, match="A terminal shows no spreadsheet: add --output FILE"):
        report("3f9a1c07", form="xlsx")
