"""The ledger: its place and rights, the version of its schema, its workers. Nothing is made or migrated."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio

from vavasms.config import Secret
from vavasms.doctor.findings import PATIENCE, Finding, caution, good, misset, skipped, unreached
from vavasms.doctor.network import find_addresses
from vavasms.doctor.threads import run_abandonable
from vavasms.errors import ConfigurationError, LedgerError, VavaSMSError
from vavasms.i18n import Sentence, ngettext, translate
from vavasms.i18n import gettext as _
from vavasms.ledger.inspection import LedgerInspection
from vavasms.ledger.sqlite.in_use import examine
from vavasms.ledger.sqlite.inspection import inspect_file
from vavasms.storage.location import Place, is_there
from vavasms.storage.sqlite.files import resolve

#: Of a file: nobody else can mend it.
_OWN_FAULTS = frozenset({"ledger.file", "ledger.several_names"})
_UPGRADE, _MIGRATE = "pip install --upgrade vavasms", "vavasms ledger migrate"


async def check_ledger(place: Place, option: str = "") -> list[Finding]:
    """Return what was found of a ledger: its place, its schema, its workers.

    `option` is what the commands of the next steps need so that they find it.
    """
    if isinstance(place, Secret):
        return await _check_database(place, option)
    try:
        return await run_abandonable(partial(_check_file, place, option), patience=PATIENCE)
    except TimeoutError:
        pass
    late = unreached(
        "ledger",
        _("The disk of the ledger {path} does not answer.", path=show_path(place)),
        _("Check the mount of its folder."),
    )
    return [late, *_skip_rest(_("the ledger cannot be read"))]


def _check_file(path: Path, option: str) -> list[Finding]:
    try:
        path = resolve(path)
        finding = _check_place(path, option)
        if finding.step:
            return [finding, *_skip_rest(_("the ledger cannot be used"))]
        if not is_there(path):
            return [finding, *_skip_rest(_("there is no ledger yet"))]
        inspected = inspect_file(path, now=time.time())
    except VavaSMSError as error:
        return [_judge_failure(error), *_skip_rest(_("the ledger cannot be read"))]
    return [finding, *_judge(inspected, option)]


def _check_place(path: Path, option: str) -> Finding:
    """Return whether a file can be read and written, with its folder, and is whole."""
    why = _find_fault(path) or _find_folder_fault(path.parent)
    if why is not None:
        return misset(
            "ledger",
            _("The ledger {path} cannot be written ({why}).", path=show_path(path), why=why),
            _(
                "Make the file and its folder writable for this user, or name another place with --ledger or "
                "VAVASMS_LEDGER."
            ),
        )
    if not is_there(path):
        return good(
            "ledger",
            _("There is no ledger at {path} yet; the first campaign makes it.", path=show_path(path)),
        )
    # Twice: a runner that begins or ends in between makes what is read contradict itself.
    problem = examine(path) and examine(path)
    if problem is not None:
        command = f"vavasms campaign recover{option}"
        return misset(
            "ledger",
            _("The ledger {path} {problem}.", path=show_path(path), problem=_(problem)),
            _("Put the folder back as it was, or run `{command}`.", command=command),
        )
    return good("ledger", _("The ledger {path} can be read and written.", path=show_path(path)))


def show_path(path: Path) -> str:
    """Return a path as it is told; not one that may be a connection string."""
    return "…" if may_be_secret(path) else str(path)


def may_be_secret(path: Path) -> bool:
    """Return whether a path may be a connection string, without its beginning or of keywords."""
    return "@" in str(path) or "=" in str(path)


def _find_fault(path: Path) -> Sentence | None:
    """Return why a file cannot be written; None where it can, or is not there."""
    try:
        if is_there(path):
            if not stat.S_ISREG(path.stat().st_mode):
                return _("it is no file")
            os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return _(error.strerror or type(error).__name__)
    return None


def _find_folder_fault(folder: Path) -> Sentence | None:
    """Return why nothing can be made in a folder, there or yet to be made: SQLite keeps its log in it."""
    try:
        while not is_there(folder) and folder != folder.parent:
            folder = folder.parent
        # Without a name, where the system has such files, and gone at once.
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return _(error.strerror or type(error).__name__)


async def _check_database(url: Secret, option: str) -> list[Finding]:
    problem: VavaSMSError
    try:
        with anyio.fail_after(PATIENCE):
            inspected = await _inspect(url)
    except VavaSMSError as error:
        problem = error
    except TimeoutError:
        problem = LedgerError(
            _("The PostgreSQL server did not answer in time."), error_code="ledger.unreachable"
        )
    else:
        return [_judge_server(inspected), *_judge(inspected, option)]
    return [_judge_failure(problem), *_skip_rest(_("the ledger cannot be read"))]


async def _inspect(url: Secret) -> LedgerInspection:
    # It needs an extra, and says so; what comes after it does not.
    from vavasms.storage.postgres.connection import list_hosts

    for host in list_hosts(url):
        await find_addresses(host)
    from vavasms.campaigns.workers.jobs import STALLED_AFTER
    from vavasms.ledger.postgres.inspection import inspect_database

    return await inspect_database(url, silence=STALLED_AFTER)


def _judge_server(inspected: LedgerInspection) -> Finding:
    server = inspected.server
    if inspected.is_writable:
        return good("ledger", _("The PostgreSQL {server} database can be read and written.", server=server))
    return misset(
        "ledger",
        _("The PostgreSQL {server} database cannot be written to.", server=server),
        _(
            "Name the primary and not a standby, as a user with the rights of whoever ran "
            "`vavasms ledger migrate`."
        ),
    )


def _judge_failure(error: VavaSMSError) -> Finding:
    """Return what an error of the ledger's place means."""
    sentence = translate(error.args[0])
    if isinstance(error, ConfigurationError) or error.error_code in _OWN_FAULTS:
        return misset(
            "ledger",
            sentence,
            _(
                "Correct VAVASMS_LEDGER or --ledger; `vavasms explain {code}` says more.",
                code=error.error_code,
            ),
        )
    return unreached(
        "ledger",
        sentence,
        _(
            "Check that it is there and lets this machine in; `vavasms explain {code}` says more.",
            code=error.error_code,
        ),
    )


def _judge(inspected: LedgerInspection, option: str) -> list[Finding]:
    """Return what the schema and the workers are."""
    problem = inspected.problem
    if problem is not None:
        steps = {"ledger.newer": _UPGRADE, "ledger.older": _MIGRATE + option}
        step = steps.get(problem.error_code)
        advice = _("Name another one.") if step is None else _("Run `{command}`.", command=step)
        bad = misset("schema", translate(problem.args[0]), advice)
        return [bad, skipped("workers", _("the schema is not of this version"))]
    if inspected.load is None:
        none = caution(
            "schema",
            _("There is no ledger in it yet."),
            _("Run `{command}`.", command=_MIGRATE + option),
        )
        return [none, skipped("workers", _("there is no ledger yet"))]
    schema = good("schema", _("The schema is of this version ({version}).", version=str(inspected.version)))
    return [schema, _judge_workers(inspected, f"vavasms worker{option}")]


def _judge_workers(inspected: LedgerInspection, command: str) -> Finding:
    load, workers = inspected.load, inspected.workers
    assert load is not None
    held = ngettext("{n} request is under way", "{n} requests are under way", load.sending)
    if workers is not None and workers.alive:
        return good(
            "workers",
            ngettext(
                "{n} worker is alive; {held}.", "{n} workers are alive; {held}.", workers.alive, held=held
            ),
        )
    waits = load.overdue or (workers is not None and (load.running or load.sending))
    if waits:
        return unreached(
            "workers",
            _(
                "No worker is alive, and work waits: {running}, {held}, {due}.",
                running=ngettext("{n} campaign is running", "{n} campaigns are running", load.running),
                held=held,
                due=ngettext("{n} enqueued send is due", "{n} enqueued sends are due", load.overdue),
            ),
            _("Start one: `{command}`.", command=command),
        )
    if workers is not None:
        return caution(
            "workers",
            _("No worker is alive; nothing waits for one."),
            _("Start one before the first campaign: `{command}`.", command=command),
        )
    return good("workers", _("A file needs none for its campaigns; {held}.", held=held))


def _skip_rest(why: str) -> list[Finding]:
    return [skipped(name, why) for name in ("schema", "workers")]
