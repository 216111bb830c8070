"""The demonstration from beginning to end."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from vavasms.cli import exits, interrupts
from vavasms.cli.demo import report
from vavasms.cli.demo.listing import write_contacts
from vavasms.cli.demo.progress import progress
from vavasms.cli.demo.screening import Screening, screen
from vavasms.cli.demo.sending import Audit, Sent, audit, make_faults, make_gateway, send
from vavasms.sandbox import SandboxServer
from vavasms.text import fold_to_gsm7

#: One letter of it, the ê, doubles its price.
MESSAGE = "Bonjour, votre commande est prête. Présentez ce SMS en boutique. Merci, ACME"


def play(rows: int, *, as_json: bool) -> int:
    """Play it; the exit code is 0 where every recipient is accounted for."""
    with TemporaryDirectory(prefix="vavasms-demo-") as folder:
        path = Path(folder) / "contacts.csv"
        write_contacts(path, rows)
        found = screen(path)
    message = fold_to_gsm7(MESSAGE)
    if not as_json:
        report.show_screening(found)
        report.show_text(MESSAGE, message)
    sent, settled = _send(found, message, quiet=as_json)
    if as_json:
        report.print_json(found, sent, settled)
    else:
        report.show_account(found, sent, settled)
    return exits.OUR_FAULT if settled.faults else exits.DONE


def _send(found: Screening, message: str, *, quiet: bool) -> tuple[Sent, Audit]:
    recipients = found.recipients
    gateway, faults = make_gateway(len(recipients)), make_faults(len(recipients))
    with (
        SandboxServer(gateway, faults) as server,
        interrupts.announced(),
        progress(len(recipients), server.url, quiet=quiet) as advance,
    ):
        sent = send(server, recipients, message, advance)
    return sent, audit(gateway.journal, recipients, sent)
