"""Settings: from arguments, then the environment; for the command line also `.env` and the keyring."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NoReturn
from urllib.parse import urlsplit

from attrs import field, frozen

from vavasms.arguments import find_no_bool
from vavasms.errors import ConfigurationError, Outcome
from vavasms.i18n import Argument, Sentence
from vavasms.i18n import gettext as _

DEFAULT_BASE_URL = "https://vavasms.com/api"
#: Not documented; what the vendor's Node client posts to. It cannot send: it holds no number and no text.
DEFAULT_STATUS_PATH = "/v1/text/single"
KEYRING_SERVICE = "vavasms"
#: Names whatever stands in for the gateway on this machine.
LOOPBACK = "loopback"


class Secret:
    """A text that shows itself to nobody who does not ask for it by name.

    No `str`, so that it is never formatted or joined by accident; not picklable.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds, for each part of a call.

    Raises `ConfigurationError` where one of them is no number above 0: no wait is without end.
    """

    #: TCP and TLS.
    connect: float = 5.0
    #: Each write of the body.
    write: float = 10.0
    #: A free connection.
    pool: float = 5.0
    #: Each read of the answer of a call that may be repeated.
    read: float = 15.0
    #: Each read of the answer of a call that sends: every early time-out makes an unknown outcome.
    send: float = 60.0

    def __attrs_post_init__(self) -> None:
        for name in ("connect", "write", "pool", "read", "send"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and 0 < value < math.inf):
                raise misconfigured(
                    _("The timeout {name} must be a finite number of seconds above 0.", name=name),
                    "config.timeouts",
                )


@frozen(kw_only=True, eq=False)
class Settings:
    """Everything that names the account and the gateway."""

    username: str = field(repr=False)
    password: Secret
    sender_id: str | None = None
    base_url: str = DEFAULT_BASE_URL
    #: None: the gateway is known to have no delivery status call.
    status_path: str | None = DEFAULT_STATUS_PATH


def load_settings(
    username: str | None = None,
    password: str | None = None,
    *,
    sender_id: str | None = None,
    base_url: str | None = None,
    status_path: str | None = None,
    default_status_path: str | None = DEFAULT_STATUS_PATH,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settle the settings: each from its argument, else from `VAVASMS_…` in the environment.

    `default_status_path` is what a gateway's profile knows of it, None that there is none. A variable that is
    empty counts as not set; an empty username or password that is passed is refused.
    Raises `ConfigurationError` where the credentials are missing, an argument is no text or the base URL is
    not fit.
    """
    _check_texts(
        username=username, password=password, sender_id=sender_id, base_url=base_url, status_path=status_path
    )
    _check_filled(username=username, password=password)
    env = os.environ if environment is None else environment
    username = username or env.get("VAVASMS_USERNAME")
    password = password or env.get("VAVASMS_PASSWORD")
    if not username:
        raise misconfigured(
            _("No username: pass username=… or set VAVASMS_USERNAME."), "config.no_credentials"
        )
    if not password:
        raise misconfigured(
            _("No password: pass password=… or set VAVASMS_PASSWORD."), "config.no_credentials"
        )
    # An environment variable that is not UTF-8 reaches Python so. The codec's error would hold the password.
    if any("\ud800" <= character <= "\udfff" for character in username + password):
        raise misconfigured(_("The username or the password is not UTF-8 text."), "config.bad_credentials")
    return Settings(
        username=username,
        password=Secret(password),
        sender_id=sender_id or env.get("VAVASMS_SENDER_ID") or None,
        base_url=check_base_url(base_url or env.get("VAVASMS_BASE_URL") or DEFAULT_BASE_URL),
        status_path=_check_path(status_path or env.get("VAVASMS_STATUS_PATH") or default_status_path),
    )


def check_switches(**switches: object) -> None:
    """Raise `ConfigurationError` for a switch of a client that is no bool: the text "False" is true."""
    name = find_no_bool(**switches)
    if name is not None:
        raise misconfigured(_("{name} is True or False.", name=name), "config.argument")


def settle_timeouts(timeouts: Timeouts | None) -> Timeouts:
    """Return the timeouts, the default ones for None; raise `ConfigurationError` for anything else."""
    if timeouts is None:
        return Timeouts()
    if not isinstance(timeouts, Timeouts):
        raise misconfigured(
            _("timeouts is Timeouts(…), such as timeouts=Timeouts(read=30)."), "config.timeouts"
        )
    return timeouts


def check_base_url(url: str) -> str:
    """Accept HTTPS, and plain HTTP on loopback only: every body holds the password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port_is_fit = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_fit = None, False
    if host is None or not port_is_fit or parts.scheme not in {"http", "https"}:
        raise misconfigured(_("The base URL must be like https://vavasms.com/api."), "config.base_url")
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\"):
        raise misconfigured(_("The base URL holds a character that no URL has."), "config.base_url")
    # The characters themselves: an empty query or user is none to urlsplit, and yet what is joined to the
    # URL would go into the query, or the user into the Host header.
    if "@" in parts.netloc or set(url) & set("?#"):
        raise misconfigured(_("The base URL must hold no user, no query and no fragment."), "config.base_url")
    if parts.scheme == "http" and not is_loopback(host):
        raise misconfigured(
            _("The base URL must be https://: plain HTTP would show the password on the way."),
            "config.base_url",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether `host` can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def gateway_of(base_url: str) -> str:
    """Name the gateway of a base URL: its host, or `LOOPBACK` for what stands in for it on this machine."""
    host = urlsplit(base_url).hostname or ""
    return LOOPBACK if is_loopback(host) else host


def name_account(username: str, base_url: str) -> str:
    """Return the name by which a ledger tells accounts apart."""
    return f"{username} {gateway_of(base_url)}"


def username_of(account: str) -> str:
    """Return the username in an account's name; no gateway's name holds a blank."""
    return account.rpartition(" ")[0]


def gateway_of_account(account: str) -> str:
    """Return the gateway in an account's name, as `gateway_of` names it."""
    return account.rpartition(" ")[2]


def no_sender_id() -> Sentence:
    """Return what is said where neither the call nor the settings name a sender."""
    argument = Argument.make("sender_id=…", "--sender-id")
    return _("No sender ID: add {argument}, or set VAVASMS_SENDER_ID.", argument=argument)


def misconfigured(sentence: str, error_code: str | None = None) -> ConfigurationError:
    """Build the error of a setting that is wrong before anything was sent."""
    return ConfigurationError(
        _("{sentence} Nothing was sent.", sentence=sentence),
        error_code=error_code,
        outcome=Outcome.NOT_SENT,
        halts=True,
    )


def _check_texts(**arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None and not isinstance(value, str):
            raise misconfigured(_("{name} is no text.", name=name), "config.argument")


def _check_filled(**credentials: str | None) -> None:
    # Who passes one means it: another account's, of the environment, must not pay in its place.
    for name, value in credentials.items():
        if value == "":
            raise misconfigured(_("{name} is empty.", name=name), "config.no_credentials")


def is_status_path(path: str) -> bool:
    """Return whether a text can be the path of a call: it begins with / and is of plain URL characters."""
    return path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" ?#\\")


def _check_path(path: str | None) -> str | None:
    if path is not None and not is_status_path(path):
        raise misconfigured(
            _("The status path must begin with / and be made of plain URL characters."), "config.status_path"
        )
    return path
