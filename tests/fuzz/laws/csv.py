"""A text file is a contact list of which no row is lost, or refused in one sentence."""

from __future__ import annotations

import io
import re

from tests.fuzz.laws.contact_lists import Options, check_plan, read_rows
from tests.fuzz.target import Target, words
from vavasms.campaigns.planning.contacts import ContactList, read_contacts

_ENCODINGS = (None, None, None, None, "utf-8", "cp1252", "utf-16", "mac_roman")
#: Nothing that parts cells or records in any way but by a line end.
_SIMPLE = re.compile(rb"[0-9A-Za-z+. ;\n]*")


def check_file(data: bytes) -> None:
    """Take a letter of the options, then the file."""
    letter, content = data[:1] or b"0", data[1:]
    encoding = _ENCODINGS[letter[0] % 8]

    def open_list() -> ContactList:
        return read_contacts(io.BytesIO(content), encoding=encoding)

    options = Options(
        region="CI" if letter[0] & 8 else None, repair=bool(letter[0] & 16), is_personal=bool(letter[0] & 32)
    )
    check_plan(open_list, options)
    if _SIMPLE.fullmatch(content) and encoding in {None, "utf-8", "cp1252"}:
        _check_lines(content.decode(), open_list)


def _check_lines(text: str, open_list: object) -> None:
    """Hold that each line below the header that holds anything is a row."""
    rows = read_rows(open_list)  # type: ignore[arg-type]
    if not rows:
        return
    read = {row for row, _, _ in rows}
    filled = {number for number, line in enumerate(text.split("\n"), start=1) if line.strip(" ;")}
    assert {number for number in filled if number >= min(read)} == read & filled


TARGET = Target(
    check=check_file,
    seeds=(
        b"0nom;telephone;ville\nAwa;+2250709000001;Abidjan\nKoffi;0709000002;Man\n;;\nAwa;0709000001;Bouake\n",
        b"0" + 'Prénom,Téléphone\r\nDésiré,"07 09 00 00 03"\r\nAké,07090004/0709000005\r\n'.encode(),
        b"0" + "Prénom;Mobile\nDésiré;2250709000006\n".encode("cp1252"),
        b"0" + "sep=;\nClients;\nnom;tel\nAwa;2.25071E+12\n".encode("utf-16"),
        b"P2250709000007\n2250709000008\n2250709000009\n",
        b"@id\ttel\tmontant\n1\t0709000001\t#N/A\n2\t0709000002\t25 000\n",
        b"xnom|tel\nAwa|09000001\nKoffi|\n",
        b"0nom;tel\n;0709000001\nAwa;0709000001\n;0709000001\n",
    ),
    tokens=words(
        r"""
        ; , \t | " "" \n \r\n \r sep=; telephone tel mobile numero contact nom 0709000001 +2250709000001
        2250709000009 00225 2.25071E+12 '0709000001 NULL #N/A \xef\xbb\xbf \xff\xfe \xfe\xff \xff\xfe\0\0 \0
        \xe9 \xc3\xa9 \xc3\x83\xc2\xa9 \xe2\x80\xa8 \xc2\xa0 \x85 \x1c \x0b \x0c %PDF \x20ou\x20 ::: /
        poste\x2012 (0) \xd9\xa0\xd9\xa7 \xf0\x9f\x98\x80 15/06/2025 {nom}
        """
    ),
    smoke=150,
)
