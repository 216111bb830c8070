"""The file in which a probe writes down each request before it leaves, and what it learnt from the answer."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import define

from vavasms.config import misconfigured
from vavasms.errors import ConfigurationError
from vavasms.i18n import gettext as _
from vavasms.probe.knowledge import Event, Knowledge
from vavasms.profile.models import GatewayProfile

#: Windows would change the line ends.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
#: Characters of the digest that tells accounts apart; the file names none.
_DIGITS = 16


def place_journal(profile: Path) -> Path:
    """Return where the journal is of the probe that writes a profile: beside it."""
    return profile.with_name(f"{profile.name}.journal")


@define
class ProbeJournal:
    """An open journal, and what its events add up to."""

    _descriptor: int
    _path: Path
    known: Knowledge

    def write(self, event: Event) -> None:
        """Add an event; when this returns it is on the disk. Raises `ConfigurationError` where it is not."""
        # In ASCII: half a character, which an id of the gateway's may hold, is none in UTF-8.
        line = (json.dumps(event) + "\n").encode()
        # First: what does not fit to the rest must not be on the disk, where no later run could read it.
        self.known.apply(event)
        try:
            size = os.fstat(self._descriptor).st_size
            # In one write: what a crash cuts off is the last line, which counts as not written.
            written = os.write(self._descriptor, line)
            if written == len(line):
                os.fsync(self._descriptor)
                return
            # A disk that is full takes what it has room for, without an error.
            why = os.strerror(errno.ENOSPC)
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            why = error.strerror or type(error).__name__
        raise ConfigurationError(
            _(
                "The journal {path} of the probe cannot be written ({why}): the probe ends here. Of a "
                "request whose answer is not in it nobody knows.",
                path=str(self._path),
                why=why,
            ),
            error_code="config.probe_journal",
            halts=True,
        )


@contextmanager
def open_journal(path: Path, account: str, known: GatewayProfile) -> Iterator[ProbeJournal]:
    """Open the journal of an account, or begin one; `known` is what the profile says already.

    Raises `ConfigurationError` where it cannot be written, is another account's, or another probe has it.
    """
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        why = _(error.strerror or type(error).__name__)
    else:
        try:
            with _locked(path):
                yield _open(descriptor, path, account, known)
            return
        finally:
            os.close(descriptor)
    raise _unusable(path, _("it cannot be written ({why})", why=why))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # An extra, which the command line has.
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.lock"), mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        why: str = _("another probe is at work on it")
    except OSError as error:
        why = _("it cannot be written ({why})", why=error.strerror or type(error).__name__)
    else:
        try:
            yield
            return
        finally:
            lock.release()
    raise _unusable(path, why)


def _open(descriptor: int, path: Path, account: str, profile: GatewayProfile) -> ProbeJournal:
    try:
        return _read(descriptor, path, account, profile)
    except OSError as error:
        why = error.strerror or type(error).__name__
    raise _unusable(path, _("it cannot be written ({why})", why=why))


def _read(descriptor: int, path: Path, account: str, profile: GatewayProfile) -> ProbeJournal:
    whole, _newline, rest = _read_all(descriptor).rpartition(b"\n")
    if rest:
        # The line that a crash cut off.
        os.ftruncate(descriptor, len(whole) + 1 if whole else 0)
    events = [*_parse(path, whole)]
    journal = ProbeJournal(descriptor, path, Knowledge(profile=profile))
    head: dict[str, Any] = {"event": "probe", "account": sha256(account.encode()).hexdigest()[:_DIGITS]}
    if not events:
        journal.write(head)
        _sync_folder(path.parent)
    elif events[0] != head:
        raise _unusable(path, _("it is another account's, or no journal of a probe"))
    for event in events:
        _apply(journal, path, event)
    return journal


def _sync_folder(folder: Path) -> None:
    """Write down that the file is there; Windows does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))


def _parse(path: Path, text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise _unusable(path, _("a line of it cannot be read"))
        yield event


def _apply(journal: ProbeJournal, path: Path, event: Event) -> None:
    try:
        journal.known.apply(event)
    except (ConfigurationError, KeyError, TypeError, ValueError, AttributeError):
        pass
    else:
        return
    raise _unusable(path, _("a line of it cannot be read"))


def _unusable(path: Path, why: str) -> ConfigurationError:
    return misconfigured(
        _("The journal {path} of the probe: {why}.", path=str(path), why=why), "config.probe_journal"
    )
