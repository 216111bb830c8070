"""The file that a gateway profile is kept in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vavasms.config import misconfigured
from vavasms.errors import ConfigurationError, Outcome
from vavasms.i18n import gettext as _
from vavasms.profile.models import UNKNOWN, GatewayProfile, profile_error
from vavasms.profile.toml import dump_profile, parse_profile

#: A profile has a few hundred bytes.
_MOST_BYTES = 100_000


def find_profile(
    profile: GatewayProfile | str | Path | None, environment: Mapping[str, str] | None = None
) -> GatewayProfile:
    """Return the profile that an argument is or names, else the one that `VAVASMS_PROFILE` names.

    Without either it knows nothing. Raises `ConfigurationError`.
    """
    if isinstance(profile, GatewayProfile):
        return profile
    if profile is not None and not (isinstance(profile, str | Path) and str(profile)):
        raise misconfigured(
            _("profile is a GatewayProfile, or the path of a file that holds one."), "config.profile"
        )
    env = os.environ if environment is None else environment
    path = profile or env.get("VAVASMS_PROFILE")
    return read_profile(path) if path else UNKNOWN


def read_profile(path: str | Path) -> GatewayProfile:
    """Read a profile. Raises `ConfigurationError`, whose sentence names the file and the key."""
    fault: str
    try:
        return parse_profile(_read_text(Path(path)))
    except ConfigurationError as error:
        fault = error.args[0]
    except OSError as error:
        fault = profile_error(
            _("it cannot be read ({why})", why=_(error.strerror or type(error).__name__))
        ).args[0]
    except ValueError:
        fault = profile_error(_("it is no text in UTF-8")).args[0]
    raise ConfigurationError(
        _("The gateway profile {path}: {fault}", path=str(path), fault=fault),
        error_code="config.profile",
        outcome=Outcome.NOT_SENT,
        halts=True,
    )


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode()


def write_profile(path: str | Path, profile: GatewayProfile, *, comment: str = "") -> None:
    """Write a profile: whoever reads the file finds the old one or the new one, never a half.

    Raises `ConfigurationError` where it cannot be written.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(dump_profile(profile, comment=comment))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        why = _(error.strerror or type(error).__name__)
    else:
        return
    finally:
        with suppress(OSError):
            part.unlink()
    # Not that nothing was sent: what is written was found out by sending.
    raise ConfigurationError(
        _("The gateway profile {path} cannot be written ({why}).", path=str(target), why=why),
        error_code="config.profile",
        halts=True,
    )
