"""The account that an interrupt carries in words."""

from __future__ import annotations

import traceback

from vavasms.bulk.models import BulkReport
from vavasms.bulk.sender import attach
from vavasms.i18n import LANGUAGES, in_english, language_set

FIRST = BulkReport(accepted=1, rejected=2, not_sent=3, unknown=4)
LATER = BulkReport(accepted=12_000, not_sent=0)


def test_a_later_account_takes_the_place_of_an_earlier_one_in_any_language() -> None:
    for before in LANGUAGES:
        for after in LANGUAGES:
            interrupt = KeyboardInterrupt()
            interrupt.add_note("of somebody else")
            for language, report in ((before, FIRST), (after, LATER)):
                with language_set(language):
                    attach(interrupt, report)
            other, note = interrupt.__notes__
            assert other == "of somebody else"
            assert in_english(note) == (
                "vavasms: of the bulk send, 12,000 recipients are accepted, 0 rejected, 0 not sent, 0 unknown "
                "(see the exception's bulk_report)."
            )
            assert (note == in_english(note)) is (after == "en")
            # The command line shows what follows.
            assert note.startswith("vavasms: ")
            assert note in "".join(traceback.format_exception(interrupt))
            assert vars(interrupt)["bulk_report"] is LATER
