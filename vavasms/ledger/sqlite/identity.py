"""Whether a ledger's file is the one that was sent from, and whole.

SQLite keeps what was committed last in a log beside the file, found by the file's name. So a file can come
without what it sent last: moved by itself, out of a container into which it alone was mounted, restored.
Against that the file itself holds, durably, from before the first claim until everything is in it again:

- that it is *in use*: without its log it is not whole;
- its inode, and when that was made: a copy that was taken while it was used has another;
- its generation, which changes as a runner begins and as it ends, and is kept beside it as well: of a file
  that was put back into its folder it is the older one.

A log is the file's own if it has the same generation, which is why every commit writes the row.

What cannot be told: a copy of the whole folder that was made while nobody used it, and an older log of an
opening that did not end. A crashed ledger whose folder was copied to another file system is taken for a copy.
Programs other than this one that open a crashed ledger write the log into the file and delete it: that, too,
looks like a loss.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from secrets import token_hex

from attrs import evolve, fields, frozen

from vavasms.errors import LedgerError, Outcome
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.sqlite.claims import SQL
from vavasms.storage.sqlite.connections import hold_forks
from vavasms.storage.sqlite.files import file_id

_RECOVER = N_(
    "Put the folder back as it was, or let `vavasms campaign recover` make unknown what may have been sent. "
    "Nothing was sent."
)
OTHER_LOG = N_("has the log of another file beside it")
_LOST_LOG = N_("was in use, and what it wrote last is not in the log beside it")
_COPY = N_("is a copy that was taken while the ledger was in use")
_OLDER = N_("is older than the one that was used last here")
#: Bytes of a log without a commit.
_EMPTY_LOG = 32
#: A runner that begins or ends between two looks makes them contradict each other.
_LOOKS = 3


@frozen(kw_only=True)
class Identity:
    """What a ledger's file says of itself."""

    generation: int
    nonce: str
    #: The nonce of the generation before.
    previous: str
    in_use: bool
    inode: int
    commits: int

    @property
    def name(self) -> str:
        """The generation as it is written beside the file."""
        return f"{self.generation}:{self.nonce}"

    def follow(self, *, inode: int, in_use: bool = True, after: int = 0) -> Identity:
        """Return the next generation, later than `after` too."""
        return evolve(
            self,
            generation=max(self.generation, after) + 1,
            nonce=token_hex(8),
            previous=self.nonce,
            in_use=in_use,
            inode=inode,
        )


def read_identity(connection: sqlite3.Connection) -> Identity:
    """Return what the file says, with its log."""
    names = [attribute.name for attribute in fields(Identity)]
    values = dict(zip(names, connection.execute(SQL["select_identity"]).fetchone(), strict=True))
    return Identity(**{**values, "in_use": bool(values["in_use"])})


def check_file(path: Path) -> None:
    """Raise `LedgerError` for a file whose log is missing or another's, and for a copy of one in use.

    Not beside a connection of this process. Readers are refused as well: closing the last connection writes
    the log into the file and deletes it, right or wrong.
    """
    problem = ""
    for _look in range(_LOOKS):
        problem = find_problem(path) or ""
        if not problem:
            return
    raise _untrusted(path, problem)


def find_problem(path: Path) -> str | None:
    """Return why a file cannot be trusted, in English, or None. Changes nothing."""
    file = _read(path, "immutable=1")
    if file is None:
        # New, of an older version, or no ledger.
        return None
    if not has_log(path):
        return _LOST_LOG if file.in_use else None
    whole = _read(path, "mode=ro")
    if whole is None or not _belongs(file, whole):
        return OTHER_LOG
    if whole.in_use and whole.inode != file_id(path):
        return _COPY
    return None


def has_log(path: Path) -> bool:
    """Return whether a log with commits is beside the file."""
    try:
        return log_path(path).stat().st_size > _EMPTY_LOG
    except FileNotFoundError:
        return False


def log_path(path: Path) -> Path:
    """Return where SQLite keeps the log of a file."""
    return path.with_name(f"{path.name}-wal")


def find_older(path: Path) -> str | None:
    """Return why a file that is whole is not the latest of its folder, or None. Not beside a connection."""
    identity = _read(path, "mode=ro" if has_log(path) else "immutable=1")
    return None if identity is None else find_later(path, identity)


def check_latest(path: Path, identity: Identity) -> None:
    """Raise `LedgerError` for the older of two copies, as what is kept beside it tells."""
    problem = find_later(path, identity)
    if problem is not None:
        raise _untrusted(path, problem)


def _untrusted(path: Path, problem: str) -> LedgerError:
    return LedgerError(
        _("The ledger {path} {problem}. {recover}", path=path, problem=_(problem), recover=_(_RECOVER)),
        error_code="ledger.untrusted",
        outcome=Outcome.NOT_SENT,
    )


def read_beside(path: Path) -> list[str]:
    """Return the generations that the file may have; none where nothing is kept beside it."""
    try:
        names = json.loads(_beside(path).read_text(encoding="ascii"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        # It is written anew at the next opening.
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def latest_of(names: Iterable[str]) -> int:
    """Return the highest of generations as they are written beside a file; -1 where there is none."""
    numbers = [name.partition(":")[0] for name in names]
    return max((int(number) for number in numbers if number.isdecimal()), default=-1)


def write_beside(path: Path, *identities: Identity) -> None:
    """Keep the generations that the file may have beside it, durably.

    Raises `LedgerError` where that fails.
    """
    target = _beside(path)
    draft = target.with_name(f"{target.name}.new")
    try:
        _write_durably(draft, json.dumps([identity.name for identity in identities]))
        draft.replace(target)
        _sync_folder(target.parent)
        return
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise LedgerError(
        _("The file {path} cannot be written: {reason}.", path=target, reason=_(reason)),
        error_code="ledger.file",
        outcome=Outcome.NOT_SENT,
    )


def _write_durably(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable, where the system knows how."""
    if os.name == "nt":  # pragma: no cover - Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_later(path: Path, identity: Identity) -> str | None:
    """Return why a file that says this of itself is not the latest of its folder, or None."""
    beside = read_beside(path)
    # A later one was used elsewhere meanwhile, as where the file alone is mounted, and is whole.
    if identity.name in beside or identity.generation > latest_of(beside):
        return None
    return _OLDER


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.generation")


def _belongs(file: Identity, whole: Identity) -> bool:
    """Return whether a file and what its log makes of it are one, as a runner begins, works and ends."""
    if whole.commits < file.commits:
        return False
    same = (whole.generation, whole.nonce) == (file.generation, file.nonce)
    is_next = whole.generation > file.generation and whole.previous == file.nonce
    return same or (is_next and not (file.in_use and whole.in_use))


def _read(path: Path, how: str) -> Identity | None:
    """Return what a file says: without its log (`immutable`), or with it, which `mode=ro` leaves as it is."""
    try:
        with hold_forks(), closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True)) as connection:
            return read_identity(connection)
    except (sqlite3.Error, TypeError):
        return None
