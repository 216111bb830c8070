"""What is on this machine: versions, the file `.env`."""

from __future__ import annotations

import operator
import os
import platform
import re
import sqlite3
import ssl
import stat
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from io import StringIO
from pathlib import Path

from vavasms.doctor.findings import Finding, caution, good, misset
from vavasms.i18n import gettext as _
from vavasms.version import __version__

#: What vavasms stands on, by the names of the index; some come with an extra only.
PACKAGES = (
    "anyio",
    "attrs",
    "cattrs",
    "cyclopts",
    "h11",
    "httpcore",
    "httpx",
    "phonenumbers",
    "procrastinate",
    "psycopg",
    "python-dotenv",
    "rich",
    "starlette",
    "uvicorn",
)
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
_BOUND = re.compile(r"(>=|<|==)([\d.]+)")
_HOLDS = {">=": operator.ge, "<": operator.lt, "==": operator.eq}
_SETTING = re.compile(r"^\s*(?:export\s+)?VAVASMS_\w+\s*=\s*\S", re.MULTILINE)
#: A URL of a receiver has its token in it, one of a database may have a password.
_SECRET = re.compile(
    r"^\s*(?:export\s+)?VAVASMS_"
    r"(?:(?:PASSWORD|INBOUND_TOKEN|INBOUND_URL)\s*=\s*\S|LEDGER\s*=\s*\S*(?::[^/\s]\S*@|password=))",
    re.MULTILINE,
)
_MARK = "\ufeff"


def list_versions() -> Mapping[str, str]:
    """Return the versions of the program, of what it runs on, and of its packages that are installed."""
    packages = {name: found for name in PACKAGES if (found := _find_version(name)) is not None}
    return {
        "vavasms": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "SQLite": sqlite3.sqlite_version,
        "TLS": ssl.OPENSSL_VERSION,
        **packages,
    }


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_versions(requirements: Iterable[str] | None = None) -> Finding:
    """Return whether the packages are of versions that vavasms works with, by its own metadata."""
    if requirements is None:
        try:
            requirements = requires("vavasms") or ()
        except PackageNotFoundError:
            # It runs from a folder.
            requirements = ()
    unfit = [package for line in requirements if (package := _find_unfit(line)) is not None]
    if not unfit:
        return good("versions", _("Python and the packages are of versions that vavasms works with."))
    return misset(
        "versions",
        _(
            "These packages are of versions that vavasms does not work with: {packages}.",
            packages=", ".join(unfit),
        ),
        _("Run `{command}`.", command="pip install --upgrade vavasms"),
    )


def _find_unfit(requirement: str) -> str | None:
    """Return a package with its version and what is needed; None where it fits or is not installed."""
    needed, _semicolon, marker = requirement.partition(";")
    match = _PACKAGE.match(needed)
    if match is None or "python" in marker or "platform" in marker:
        return None
    found = _find_version(match[0])
    bounds = _BOUND.findall(needed)
    if found is None or all(_HOLDS[sign](*_read_numbers(found, bound)) for sign, bound in bounds):
        return None
    return f"{match[0]} {found} ({','.join(sign + bound for sign, bound in bounds)})"


def _read_numbers(*versions: str) -> Iterator[list[int]]:
    """Yield the numbers of two versions, as many of each."""
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:4]] for text in versions]
    length = max(map(len, numbers))
    return (parts + [0] * (length - len(parts)) for parts in numbers)


def check_dotenv(path: Path) -> Finding:
    """Return whether a file `.env` is read, where there is one; nothing that it holds."""
    try:
        path.lstat()
    except FileNotFoundError:
        return good("dotenv", _("There is no file .env here; the environment and the keyring are read."))
    except OSError as error:
        return caution(
            "dotenv",
            _("In this folder no file .env can be looked for ({why}).", why=type(error).__name__),
            _("Start vavasms in a folder of your own if its settings are in one."),
        )
    try:
        # Of a link its own mode says nothing.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return caution(
                "dotenv",
                _("What has the name .env here is no file, and is passed over."),
                _("Save the settings in a file .env, or set them in the environment."),
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = type(error).__name__
    else:
        return _judge_text(text, mode)
    return misset(
        "dotenv",
        _("The file .env is here and cannot be read ({why}).", why=why),
        _("Save it as UTF-8 text that your user may read, or remove it."),
    )


def _judge_text(text: str, mode: int) -> Finding:
    if text.startswith(_MARK):
        return misset(
            "dotenv",
            _("The file .env begins with a byte order mark, so that its first line is not read."),
            _("Save it as UTF-8 without a byte order mark (BOM)."),
        )
    if not _SETTING.search(text):
        return caution(
            "dotenv",
            _("The file .env is here, and sets nothing of vavasms."),
            _("Write lines such as VAVASMS_USERNAME=… into it, or set them in the environment."),
        )
    line = _find_unread_line(text)
    if line is not None:
        return caution(
            "dotenv",
            _("Line {line} of the file .env cannot be read.", line=str(line)),
            _("Write it as NAME=value; a quote that opens must close."),
        )
    if os.name == "posix" and _SECRET.search(text) and mode & 0o044:
        return caution(
            "dotenv",
            _("The file .env is read, and others on this machine can read its secrets."),
            _("Run `chmod 600 .env`."),
        )
    return good("dotenv", _("The file .env is read."))


def _find_unread_line(text: str) -> int | None:
    """Return the number of the first line that is passed over, None where there is none."""
    # With a first look at a file, as where the settings are read.
    from dotenv.parser import parse_stream

    lines = (binding.original.line for binding in parse_stream(StringIO(text)) if binding.error)
    return next(lines, None)
