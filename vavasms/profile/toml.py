"""A gateway profile as TOML text: read strictly, written plainly. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vavasms.i18n import gettext as _
from vavasms.profile.models import NAMES, GatewayProfile, Oversize, profile_error

_PRICES = ("unit_price", "unit_price_ucs2")
#: Digits of a fraction of a second.
_PLACES = 2


def parse_profile(text: str) -> GatewayProfile:
    """Read a profile. Raises `ConfigurationError` for what is no TOML, an unknown key or a wrong value."""
    # Here, since who has no profile has no need of it.
    import tomllib

    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        why = str(error)
    else:
        return _build(data)
    raise profile_error(_("it is no TOML ({why})", why=why))


def _build(data: Mapping[str, Any]) -> GatewayProfile:
    for key in data:
        if key not in NAMES:
            raise profile_error(_describe_unknown(key))
    values: dict[str, Any] = {name: _read(name, value) for name, value in data.items()}
    return GatewayProfile(**values)


def _describe_unknown(key: str) -> str:
    # Here, since nobody else has a need of it.
    from difflib import get_close_matches

    near = get_close_matches(key, NAMES, n=1)
    if near:
        return _("a profile has no key {key}; the nearest is {near}", key=repr(key), near=near[0])
    return _("a profile has no key {key}", key=repr(key))


def _read(name: str, value: object) -> object:
    """Return a value as the field has it; what does not fit is left to the field's own check."""
    if name in _PRICES and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if name == "oversize" and value in list(Oversize):
        return Oversize(str(value))
    if name == "statuses" and isinstance(value, Mapping):
        return {word: float(age) if isinstance(age, Decimal) else age for word, age in value.items()}
    return value


def dump_profile(profile: GatewayProfile, *, comment: str = "") -> str:
    """Write what is known of a gateway; `comment` goes before it, a line each."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for name in NAMES:
        value = getattr(profile, name)
        if value is not None and name != "statuses":
            lines.append(f"{name} = {_write(value)}")
    if profile.statuses:
        lines += ["", "[statuses]"]
        lines += [f"{_quote(word)} = {round(age, _PLACES)}" for word, age in profile.statuses.items()]
    return "\n".join(lines) + "\n"


def _write(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _quote(value) if isinstance(value, str) else str(value)


def _quote(text: str) -> str:
    """Write a basic string: JSON's escapes are among TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
