"""`campaign recover`: use a ledger's file of which nobody can say what was sent from it since."""

from __future__ import annotations

from pathlib import Path

import anyio

from vavasms.cli import exit_codes, output
from vavasms.cli.ledger_option import LedgerPath, find_ledger
from vavasms.cli.params import JsonFlag, Yes
from vavasms.cli.prompts import confirm
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import in_english, ngettext
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.storage.location import is_there


def recover(*, yes: Yes = False, ledger: LedgerPath = None, as_json: JsonFlag = False) -> int:
    """Use a ledger without its log, a copy or a backup: what it had queued is unknown."""
    place = find_ledger(ledger)
    if not isinstance(place, Path):
        raise InvalidInputError(
            _("A PostgreSQL database is recovered by its own means: name a file."),
            error_code="ledger.not_a_file",
            outcome=None,
        )
    if not is_there(place):
        raise InvalidInputError(
            _("There is no ledger at {place} yet.", place=place), error_code="ledger.missing", outcome=None
        )
    return anyio.run(_recover, place, yes, as_json)


async def _recover(path: Path, yes: bool, as_json: bool) -> int:
    problem = await SqliteLedger.examine(path)
    question = _(
        "The ledger {path} {why}. What its campaigns have queued becomes unknown, since "
        "it may have been sent; campaigns that are not in the file are lost.",
        path=output.clean(str(path)),
        why=problem or _("looks whole: recover it only if it is a back-up that was put back"),
    )
    confirm(question, word="recover", yes=yes)
    count = await SqliteLedger.recover(path)
    if as_json:
        output.print_json({"ledger": str(path), "problem": problem and in_english(problem), "unknown": count})
    elif not count:
        output.say(_("Recovered. Nothing is unknown."))
    else:
        messages = ngettext("{n} message", "{n} messages", count)
        output.say(
            _(
                "Recovered; unknown now: {messages}. `vavasms campaign list` names the campaigns,",
                messages=messages,
            )
        )
        output.say(_("`vavasms campaign resolve ID` decides on them."))
    return exit_codes.UNKNOWN if count else exit_codes.DONE
