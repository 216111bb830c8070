"""What a ledger could not do."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="ledger.missing",
        what=N_("There is no ledger at this place yet."),
        sent=N_("No."),
        do=N_("Check --ledger and VAVASMS_LEDGER; the first campaign makes a ledger."),
        example="vavasms campaign list --ledger ledger.db",
    ),
    Explanation(
        code="ledger.not_a_file",
        what=N_("The command is for a ledger in a file, and a database was named."),
        sent=N_("No."),
        do=N_("Name a file; a database is recovered with PostgreSQL's own tools."),
        example="vavasms campaign recover --ledger ledger.db",
    ),
    Explanation(
        code="ledger.failed",
        what=N_("The ledger could not be written or read."),
        sent=N_("What the ledger did not take was not begun; what was under way may have gone out."),
        do=N_("Make room on the disk, or bring the database back, and run it again."),
        example="df -h .",
    ),
    Explanation(
        code="ledger.busy",
        what=N_("Another runner is at work on this ledger."),
        sent=N_("Nothing by this one."),
        do=N_("Wait for its end, or stop it."),
        example="vavasms campaign list",
    ),
    Explanation(
        code="ledger.being_read",
        what=N_("Something has the ledger open."),
        sent=N_("Nothing by this call."),
        do=N_("Close what reads it, such as a database browser, and try again."),
        example="lsof campaigns.db",
    ),
    Explanation(
        code="ledger.closed",
        what=N_("The ledger was closed before."),
        sent=N_("Nothing by this call."),
        do=N_("Open it again, and close it at the end."),
        example="async with await SqliteLedger.open('campaigns.db') as ledger: ...",
    ),
    Explanation(
        code="ledger.file",
        what=N_("The ledger's file cannot be made, opened or written."),
        sent=N_("No: nothing was sent."),
        do=N_("Check the path, the rights and the room on the disk."),
        example="ls -l campaigns.db",
    ),
    Explanation(
        code="ledger.several_names",
        what=N_("The ledger's file has several names (hard links), which would part it from its log."),
        sent=N_("No: nothing was sent."),
        do=N_("Keep one name, in a folder of its own."),
        example="ls -li campaigns.db",
    ),
    Explanation(
        code="ledger.untrusted",
        what=N_("The file is an older copy, or has lost its log: what it sent last is not in it."),
        sent=N_("No: nothing was sent."),
        do=N_("Put the folder back as it was, or recover it: what may have been sent becomes unknown."),
        example="vavasms campaign recover --ledger campaigns.db",
    ),
    Explanation(
        code="ledger.foreign",
        what=N_("The file or the database holds something that is no ledger."),
        sent=N_("No: nothing was sent."),
        do=N_("Name another one."),
        example="vavasms campaign list --ledger campaigns.db",
    ),
    Explanation(
        code="ledger.older",
        what=N_("The ledger was written by an older version."),
        sent=N_("No: nothing was sent."),
        do=N_("Bring it up to this version; make a backup first."),
        example="vavasms ledger migrate --ledger campaigns.db",
    ),
    Explanation(
        code="ledger.newer",
        what=N_("The ledger was written by a newer version."),
        sent=N_("No: nothing was sent."),
        do=N_("Upgrade vavasms on this machine."),
        example="pip install --upgrade vavasms",
    ),
    Explanation(
        code="ledger.no_rights",
        what=N_("The database's user may not use or make the tables."),
        sent=N_("No: nothing was sent."),
        do=N_("Run the migration as their owner."),
        example="vavasms ledger migrate --ledger postgresql://owner@host/name",
    ),
    Explanation(
        code="ledger.turned_away",
        what=N_("The PostgreSQL server does not let this user in."),
        sent=N_("No: nothing was sent."),
        do=N_("Correct the user, the password or the database in the URL, or the server's rules."),
        example="psql postgresql://user@host/name",
    ),
    Explanation(
        code="ledger.unreachable",
        what=N_("The PostgreSQL server cannot be reached."),
        sent=N_("No: nothing was sent."),
        do=N_("Start it, or correct the host and the port."),
        example="pg_isready -h host",
    ),
)
