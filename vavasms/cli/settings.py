"""Whose account it is: the environment, then `.env` in the working directory, then the keyring."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vavasms.cli import output
from vavasms.cli.secrets import holds_password
from vavasms.client import AsyncVavaSMS
from vavasms.config import KEYRING_SERVICE, Secret, misconfigured
from vavasms.i18n import gettext as _
from vavasms.sends.base import OpenLedger
from vavasms.storage.location import Place
from vavasms.sync.client import VavaSMS
from vavasms.tracebacks import hide_frames
from vavasms.transport.hooks import Hook

_PASSWORD, _USERNAME, _BASE_URL = "VAVASMS_PASSWORD", "VAVASMS_USERNAME", "VAVASMS_BASE_URL"
#: A URL of a receiver has its token in it.
_SECRETS = (_PASSWORD, "VAVASMS_INBOUND_TOKEN", "VAVASMS_INBOUND_URL")


@hide_frames
def make_client(*, ledger: Place | None = None) -> VavaSMS:
    """Return a client of the account that the settings name; with a ledger it keeps what it sends.

    Raises `ConfigurationError` where they name none.
    """
    # A connection string is a secret, and no file's path.
    place = ledger.reveal() if isinstance(ledger, Secret) else ledger
    return VavaSMS(**find_account(), max_connections=4, ledger=place)


@hide_frames
def make_async_client(
    *, max_connections: int, ledger: OpenLedger | None = None, on_response: Hook | None = None
) -> AsyncVavaSMS:
    """Return the same for commands that keep many calls under way."""
    return AsyncVavaSMS(
        **find_account(), max_connections=max_connections, ledger=ledger, on_response=on_response
    )


@hide_frames
def find_account() -> dict[str, Any]:
    """Return the arguments of a client of the account that the settings name.

    Raises `ConfigurationError` where they name none.
    """
    settings = find_settings()
    names = ("username", "password", "sender_id", "base_url", "status_path", "profile")
    return {name: settings.get(f"VAVASMS_{name.upper()}") for name in names}


@hide_frames
def find_setting(
    name: str, environment: Mapping[str, str] = os.environ, dotenv: Path = Path(".env")
) -> str | None:
    """Return one setting of the environment, or of `.env`; it may be a secret."""
    return (_filled(_read_dotenv(dotenv)) | _filled(environment)).get(name)


@hide_frames
def find_settings(
    environment: Mapping[str, str] = os.environ, dotenv: Path = Path(".env")
) -> Mapping[str, str]:
    """Return the settings; the environment wins over `.env`, both win over the keyring."""
    nearby, exported = _filled(_read_dotenv(dotenv)), _filled(environment)
    settings = nearby | exported
    if not (_USERNAME in settings and _PASSWORD in settings):
        settings = _ask_keyring(settings.get(_USERNAME)) | settings
    if _USERNAME in settings and _PASSWORD in settings:
        if _BASE_URL not in exported:
            _check_origin(settings, nearby)
        return settings
    missing = [name for name in (_USERNAME, _PASSWORD) if name not in settings]
    if len(missing) == 1:
        raise misconfigured(
            _("{name} is missing: set it, or try without an account: `vavasms sandbox`.", name=missing[0]),
            "config.no_credentials",
        )
    raise misconfigured(
        _(
            "No credentials: set {username} and {password}, or try without an account: `vavasms sandbox`.",
            username=_USERNAME,
            password=_PASSWORD,
        ),
        "config.no_credentials",
    )


def _check_origin(settings: Mapping[str, str], nearby: Mapping[str, str]) -> None:
    """Raise where a file of a folder would send a password from elsewhere to a gateway of its choice."""
    gateway = nearby.get(_BASE_URL)
    if (
        gateway is not None
        and settings[_BASE_URL] == gateway
        and nearby.get(_PASSWORD) != settings[_PASSWORD]
    ):
        raise misconfigured(
            _(
                "The file .env names a gateway ({name}) but not its password: keep both in one place.",
                name=_BASE_URL,
            ),
            "config.dotenv",
        )


def _filled(settings: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name.startswith("VAVASMS_") and value}


def _read_dotenv(path: Path) -> dict[str, str | None]:
    # Not that of `Path`: in a folder that forbids a look, as of another user, it raises.
    if not os.path.isfile(path):  # noqa: PTH113
        return {}
    from dotenv import dotenv_values

    try:
        # A password may hold a `$`.
        settings = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = type(error).__name__
    else:
        secret = any(map(settings.get, _SECRETS)) or holds_password(settings.get("VAVASMS_LEDGER") or "")
        if secret and os.name == "posix" and path.stat().st_mode & 0o044:
            _warn_of_readers(path, path.resolve())
        return settings
    raise misconfigured(
        _("The file {path} cannot be read ({why}).", path=str(path), why=why), "config.dotenv"
    )


@cache
def _warn_of_readers(path: Path, _resolved: Path) -> None:
    """Warn once of a file, however often a command looks into it."""
    output.warn(
        _("Warning: others on this machine can read the secrets in {path}: chmod 600 {path}", path=str(path))
    )


def _ask_keyring(username: str | None) -> dict[str, str]:
    if find_spec("keyring") is None:
        return {}
    try:
        import keyring

        credential = keyring.get_credential(KEYRING_SERVICE, username)
    except Exception:  # noqa: BLE001  no backend, a locked one, a broken one: as many exceptions as backends
        return {}
    if credential is None:
        return {}
    return _filled({_USERNAME: credential.username, _PASSWORD: credential.password})
