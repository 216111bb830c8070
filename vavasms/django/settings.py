"""`VAVASMS = {…}` of a project's settings: what may stand there, and what is wrong with it.

The password and the tokens are secrets: nothing here shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from attrs import field, frozen
from django.conf import settings

from vavasms.config import LOOPBACK, check_base_url, gateway_of, load_settings, misconfigured
from vavasms.django.environment import find_test_process, in_test, stand_ins
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.inbound.allowlist import Addresses
from vavasms.inbound.stop_words import check_words
from vavasms.inbound.tokens import Tokens
from vavasms.numbers import check_region
from vavasms.storage.location import read_place

NAME = "VAVASMS"
#: The backends that have a short name; any other is named by the path of its class.
BACKENDS: Mapping[str, str] = {
    "gateway": "vavasms.django.backends.gateway.GatewayBackend",
    "console": "vavasms.django.backends.console.ConsoleBackend",
    "locmem": "vavasms.django.backends.locmem.LocmemBackend",
    "sandbox": "vavasms.django.backends.gateway.SandboxBackend",
}
#: Whose account `vavasms sandbox` is, where nothing else is said.
SANDBOX_ACCOUNT: Mapping[str, str] = {
    "username": "sandbox@example.com",
    "password": "sandbox",
    "sender_id": "SANDBOX",
    "base_url": "http://127.0.0.1:8425/api",
}
#: The arguments of the client that are settings of their own.
_ACCOUNT = ("USERNAME", "PASSWORD", "SENDER_ID", "BASE_URL", "STATUS_PATH", "REGION", "PROFILE")
#: Those that stand in `OPTIONS`, by the names of the client's arguments.
_OPTIONS = (
    "keep",
    "keep_texts",
    "lots_are_atomic",
    "max_connections",
    "on_request",
    "on_response",
    "otp_limits",
    "proxy",
    "refusals_are_final",
    "retry_refused",
    "timeouts",
    "tls",
    "trust_env",
)


class SettingType(NamedTuple):
    """What a key of the setting may be."""

    types: tuple[type, ...]
    #: How that is said.
    words: str


_TEXT = SettingType((str,), N_("a text"))
_PATH = SettingType((str, Path), N_("a text or a path"))
_TEXTS = SettingType((list, tuple), N_("a list of texts"))
_TOKEN = SettingType((str, list, tuple), N_("a text or a list of texts"))
KEYS: Mapping[str, SettingType] = {
    "USERNAME": _TEXT,
    "PASSWORD": _TEXT,
    "SENDER_ID": _TEXT,
    "BASE_URL": _TEXT,
    "STATUS_PATH": _TEXT,
    "REGION": _TEXT,
    "PROFILE": _PATH,
    "BACKEND": _TEXT,
    "LEDGER": _PATH,
    "DATABASE": _TEXT,
    "OPTIONS": SettingType((dict,), N_("a dict")),
    "INBOUND_TOKEN": _TOKEN,
    "INBOUND_SEEN": _PATH,
    "INBOUND_ALLOW": _TEXTS,
    "STOP_WORDS": _TEXTS,
    "TRUSTED_PROXIES": _TEXTS,
    "OPT_OUT_NAME": _TEXT,
}


@frozen(kw_only=True)
class SettingProblem:
    """What is wrong with the setting, and what to do. Holds no secret of it."""

    #: The id of the system check, without the app's name.
    id: str
    sentence: str
    hint: str
    #: What a part of the package says of it.
    error: VavaSMSError | None = field(default=None, repr=False)

    @property
    def is_warning(self) -> bool:
        """Whether the app works all the same."""
        return self.id.startswith("W")


@frozen
class AppSettings:
    """The setting as it stands; None counts as not there."""

    values: Mapping[str, Any] = field(repr=False)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""
        value = self.values.get(key)
        return default if value is None else value

    @property
    def backend(self) -> str:
        """The name or the path of the backend."""
        return str(self.get("BACKEND", "gateway"))

    @property
    def backend_class(self) -> Any:
        """The class of the backend; None where there is none by this name."""
        return find_class(BACKENDS.get(self.backend, self.backend))

    @property
    def is_sandbox(self) -> bool:
        """Whether the account is the sandbox's: by the backend's class, whatever it is called."""
        return bool(getattr(self.backend_class, "is_sandbox", False))

    @property
    def region(self) -> str:
        """The country of national numbers."""
        return str(self.get("REGION", "CI"))

    @property
    def has_ledger(self) -> bool:
        """Whether sends are kept, so that they may have keys."""
        return self.get("LEDGER") is not None or self.get("DATABASE") is not None

    def make_account(self, *, is_sandbox: bool) -> dict[str, Any]:
        """Return the arguments of a client that say whose account it is, and by which gateway.

        Raises `ConfigurationError` for a sandbox that is on no loopback address.
        """
        own = {key.lower(): value for key in _ACCOUNT if (value := self.get(key)) is not None}
        if not is_sandbox:
            return own
        # An account of the gateway stays away from the sandbox, and from its journal.
        account = own | {**SANDBOX_ACCOUNT, "base_url": own.get("base_url", SANDBOX_ACCOUNT["base_url"])}
        if gateway_of(check_base_url(account["base_url"])) != LOOPBACK:
            raise misconfigured(
                _("The sandbox is on this machine, and `VAVASMS['BASE_URL']` is not."), "config.django"
            )
        return account

    @property
    def options(self) -> Mapping[str, Any]:
        """The other arguments of a client."""
        return dict(self.get("OPTIONS", {}))


#: The last check of what would be taken for something else.
_LAST_OF_FORM = "E005"
#: What is on disk or in a database, and is another one in tests.
_PLACES = ("LEDGER", "INBOUND_SEEN")
#: The setting that was read last, by which object it stood in, and for which process of tests.
_latest: list[tuple[object, int, AppSettings]] = []


def read_settings() -> AppSettings:
    """Return the setting; in a test, files that stand in for the places it names.

    Raises `ConfigurationError` for one that the checks E001 to E005 refuse.
    """
    values = getattr(settings, NAME, None)
    if _latest and _latest[0][0] is values and _latest[0][1] == find_test_process():
        return _latest[0][2]
    # What is wrong with a value is told by whoever uses it, in its own words.
    problem = next((each for each in find_problems(values) if each.id <= _LAST_OF_FORM), None)
    if problem is not None:
        del values
        if problem.error is not None:
            raise problem.error
        raise misconfigured(
            _("{sentence} {hint}", sentence=problem.sentence, hint=problem.hint), "config.django"
        )
    own = dict(values or {})
    if in_test():
        own |= {key: stand_ins.find_file(str(own[key])) for key in _PLACES if own.get(key) is not None}
    found = AppSettings(own)
    _latest[:] = [(values, find_test_process(), found)]
    return found


def forget() -> None:
    """Read the setting anew when it is next asked for."""
    _latest.clear()


def find_problems(values: object) -> Iterator[SettingProblem]:
    """Yield what is wrong with a setting, the worst first."""
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        yield SettingProblem(
            id="E001",
            sentence=_("VAVASMS is no dict."),
            hint=_("Make it a dict, in the settings of the project."),
        )
        return
    misnamed = [*_find_misnamed(values)]
    yield from misnamed
    if not misnamed:
        found = AppSettings(values)
        yield from _find_bad_backend(found)
        yield from _find_bad_ledger(found)
        yield from _find_shown_passwords(found)
        yield from _find_bad_values(found)


def _find_misnamed(values: Mapping[Any, Any]) -> Iterator[SettingProblem]:
    for key, value in values.items():
        kind = KEYS.get(key) if isinstance(key, str) else None
        if kind is None:
            yield _unknown(f"VAVASMS[{key!r}]", str(key), tuple(KEYS))
        elif value is not None and not _fits(value, kind):
            yield SettingProblem(
                id="E003",
                sentence=_("{setting} is of the type {type}.", setting=_name(key), type=type(value).__name__),
                hint=_("Make it {kind}.", kind=_(kind.words)),
            )
        elif key == "OPTIONS" and value is not None:
            for option in value:
                if option not in _OPTIONS:
                    yield _unknown(f"VAVASMS['OPTIONS'][{option!r}]", str(option), _OPTIONS)


def _fits(value: object, kind: SettingType) -> bool:
    if not isinstance(value, kind.types):
        return False
    return not isinstance(value, list | tuple) or all(isinstance(each, str) for each in value)


def _unknown(setting: str, name: str, known: tuple[str, ...]) -> SettingProblem:
    close = get_close_matches(name.upper() if known[0].isupper() else name.lower(), known, 1)
    hint = _("Did you mean {name}?", name=close[0]) if close else _("Known: {names}.", names=", ".join(known))
    return SettingProblem(id="E002", sentence=_("{setting} is unknown.", setting=setting), hint=hint)


def _name(key: str) -> str:
    return f"{NAME}[{key!r}]"


def _find_bad_backend(found: AppSettings) -> Iterator[SettingProblem]:
    if found.backend_class is None:
        yield SettingProblem(
            id="E004",
            sentence=_("{setting} names no backend.", setting=_name("BACKEND")),
            hint=_("Write {names}, or the path of a class with a method `send`.", names=", ".join(BACKENDS)),
        )


def find_class(path: str) -> Any:
    """Return the class of a backend; None where there is none at this path."""
    module, _dot, name = path.rpartition(".")
    # One that begins with a dot is of no package.
    if not module or module.startswith("."):
        return None
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return None
    return found if callable(getattr(found, "send", None)) else None


def _find_bad_ledger(found: AppSettings) -> Iterator[SettingProblem]:
    ledger, alias = found.get("LEDGER"), found.get("DATABASE")
    if ledger is not None and alias is not None:
        yield SettingProblem(
            id="E005",
            sentence=_("{one} and {other} both name a ledger.", one=_name("LEDGER"), other=_name("DATABASE")),
            hint=_("Keep one of them."),
        )
    elif alias is not None and not _is_postgres(alias):
        yield SettingProblem(
            id="E005",
            sentence=_("{setting} is no database of PostgreSQL in `DATABASES`.", setting=_name("DATABASE")),
            hint=_(
                "Name one by its alias, or keep the ledger in a file: {setting}.", setting=_name("LEDGER")
            ),
        )
    elif ledger is not None:
        yield from _refusal("E005", "LEDGER", lambda: read_place(str(ledger), "ledger"))
        if "://" not in str(ledger) and not Path(ledger).is_absolute():
            yield SettingProblem(
                id="W001",
                sentence=_(
                    "{setting} depends on the folder that a process is started in.", setting=_name("LEDGER")
                ),
                hint=_("Write `BASE_DIR / 'sms.db'`: all processes need the same file."),
            )


def _find_shown_passwords(found: AppSettings) -> Iterator[SettingProblem]:
    """Yield what Django's error pages and mails would show: they hide values by the names of their keys."""
    elsewhere = _("Leave it to PGPASSWORD or ~/.pgpass, or name a database in {setting}.", setting="DATABASE")
    values = {
        _name("LEDGER"): (found.get("LEDGER"), elsewhere),
        _name("INBOUND_SEEN"): (found.get("INBOUND_SEEN"), elsewhere),
        f"{_name('OPTIONS')}['proxy']": (found.options.get("proxy"), _("Leave the proxy to HTTPS_PROXY.")),
    }
    for setting, (value, hint) in values.items():
        if _holds_password(value):
            sentence = _("{setting} holds a password, and Django's error pages show it.", setting=setting)
            yield SettingProblem(id="W005", sentence=sentence, hint=hint)


def _holds_password(value: object) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.password) or "password" in parse_qs(parts.query)
    except ValueError:
        # It is none, as whoever reads it says.
        return False


def _is_postgres(alias: str) -> bool:
    engine = settings.DATABASES.get(alias, {}).get("ENGINE", "")
    return "postg" in engine


def _find_bad_values(found: AppSettings) -> Iterator[SettingProblem]:
    if hasattr(found.backend_class, "is_sandbox"):
        yield from _refusal("E006", "", lambda: _load_account(found))
    yield from _refusal("E006", "REGION", lambda: check_region(found.region))
    token = found.get("INBOUND_TOKEN")
    if token is not None:
        yield from _refusal("E007", "INBOUND_TOKEN", lambda: Tokens(token))
        if not found.has_ledger and found.get("INBOUND_SEEN") is None:
            yield SettingProblem(
                id="W002",
                sentence=_("Inbound SMS are told apart in memory: another process handles one again."),
                hint=_("Name a file or a database in {setting}.", setting=_name("INBOUND_SEEN")),
            )
    words = found.get("STOP_WORDS", ())
    yield from _refusal("E007", "STOP_WORDS", lambda: check_words(words))
    allowed, proxies = found.get("INBOUND_ALLOW", ()), found.get("TRUSTED_PROXIES", ())
    yield from _refusal("E007", "INBOUND_ALLOW", lambda: Addresses(allowed, ()))
    yield from _refusal("E007", "TRUSTED_PROXIES", lambda: Addresses((), proxies))


def _load_account(found: AppSettings) -> None:
    account = found.make_account(is_sandbox=found.is_sandbox)
    names = ("username", "password", "sender_id", "base_url", "status_path")
    load_settings(**{name: account.get(name) for name in names})


def _refusal(check: str, key: str, read: Callable[[], object]) -> Iterator[SettingProblem]:
    """Yield what a part of the package says of its value; its sentences hold no secret."""
    try:
        read()
    except VavaSMSError as error:
        problem = error.with_traceback(None)
    else:
        return
    if problem.error_code == "config.no_credentials":
        # Whoever migrates or tests has none, and an error would keep them from it.
        check = "W004"
    hint = _("Correct {setting}.", setting=_name(key) if key else NAME)
    yield SettingProblem(id=check, sentence=problem.args[0], hint=hint, error=problem)
