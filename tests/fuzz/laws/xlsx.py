"""A spreadsheet, whole or with one of its parts put in place of another, is a contact list or refused in one sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from tests.fuzz.laws.contact_lists import Options, check_plan
from tests.fuzz.target import Target, words
from vavasms.campaigns.planning.contacts import ContactList, read_contacts

_MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = b"http://schemas.openxmlformats.org/package/2006/relationships"
_SHEET = (
    b'<worksheet xmlns="%b"><dimension ref="A1:C4"/><sheetData>'
    b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>Telephone</t></is></c><c r="C1" t="s">'
    b'<v>1</v></c></row><row r="2"><c r="A2" t="str"><v>Awa</v></c><c r="B2"><v>2250709000001</v></c><c r="C2" s="1">'
    b'<v>45000.5</v></c></row><row r="3"><c r="B3" t="e"><v>#N/A</v></c><c r="C3" t="b"><v>1</v></c></row>'
    b'<row r="4"><c r="A4"><f>1+1</f><v>2</v></c><c r="B4" t="str"><v>0709000002</v></c></row></sheetData></worksheet>'
) % _MAIN
_STRINGS = (
    b'<sst xmlns="%b" count="2"><si><t>Nom</t></si><si><r><t>Vi</t></r><r><t>lle</t></r></si></sst>' % _MAIN
)
_STYLES = (
    b'<styleSheet xmlns="%b"><numFmts><numFmt numFmtId="165" formatCode="dd/mm/yyyy hh:mm"/></numFmts><cellXfs>'
    b'<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="165"/><xf numFmtId="46"/></cellXfs></styleSheet>'
) % _MAIN
_BOOK = (
    b'<workbook xmlns="%b" xmlns:r="%b"><workbookPr date1904="0"/><sheets>'
    b'<sheet name="Contacts" sheetId="1" r:id="r1" state="visible"/></sheets></workbook>'
) % (_MAIN, _OFFICE)
_LINKS = (
    b'<Relationships xmlns="%b"><Relationship Id="r1" Type="%b/worksheet" Target="worksheets/1.xml"/>'
    b'<Relationship Id="r2" Type="%b/styles" Target="styles.xml"/>'
    b'<Relationship Id="r3" Type="%b/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
) % (_PACKAGE, _OFFICE, _OFFICE, _OFFICE)
_ROOT = (
    b'<Relationships xmlns="%b"><Relationship Id="r1" Type="%b/officeDocument" Target="xl/workbook.xml"/></Relationships>'
) % (_PACKAGE, _OFFICE)
#: The parts by the letter that an input begins with.
_PARTS: Mapping[bytes, tuple[str, bytes]] = {
    b"S": ("xl/worksheets/1.xml", _SHEET),
    b"T": ("xl/sharedStrings.xml", _STRINGS),
    b"Y": ("xl/styles.xml", _STYLES),
    b"W": ("xl/workbook.xml", _BOOK),
    b"L": ("xl/_rels/workbook.xml.rels", _LINKS),
    b"R": ("_rels/.rels", _ROOT),
}


def pack(letter: bytes = b"", part: bytes = b"") -> bytes:
    """Return a spreadsheet, with `part` in the place that the letter names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        for key, (name, content) in _PARTS.items():
            archive.writestr(name, part if key == letter else content)
    return packed.getvalue()


def check_file(data: bytes) -> None:
    """Take a letter, and the part that it names; any other letter is that of a whole file."""
    letter, part = data[:1], data[1:]
    content = pack(letter, part) if letter in _PARTS else part

    def open_list() -> ContactList:
        return read_contacts(io.BytesIO(content))

    for is_personal in (False, True):
        check_plan(open_list, Options(repair=True, is_personal=is_personal))


TARGET = Target(
    check=check_file,
    seeds=(
        b"F" + pack(),
        b"S" + _SHEET.replace(b"2250709000001", b"1e999"),
        *(letter + content for letter, (_, content) in _PARTS.items()),
    ),
    tokens=words(
        r"""
        <row> <row\x20r="1048576"> <c\x20r="XFD1048576"> <c\x20r="A1"\x20t="s"> <c\x20t="d"> <c\x20s="3">
        <v> </v></c> <c\x20r="B5"\x20t="inlineStr"><is><t> </t></is></c> <f> <mergeCell\x20ref="A1:B2"/>
        &#0; &amp; <!DOCTYPE\x20x> <![CDATA[ ]]> <!-- --> 1e308 -1 99999999999 NaN inf 0.99999999 2958466
        2250709000001 2.25071E+12 xml:space='preserve' date1904="1" state="hidden" state="veryHidden"
        numFmtId="46" [h]:mm A1:XFD1048576 xl/ ../ t="e" #N/A #GETTING_DATA \xff _x000D_ PK\x03\x04
        PK\x01\x02 PK\x05\x06 \xd0\xcf\x11\xe0
        """
    ),
    smoke=150,
)
