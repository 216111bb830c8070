"""Templates of HTML in the language of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vavasms.i18n import gettext, ngettext


def make_environment(package: str, filters: Mapping[str, Any]) -> Environment:
    """Return the templates in the folder `templates` of a package, with filters of its own.

    What is put into them is escaped, and a name that nobody set is an error.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Ours fills `{names}`, which jinja2's own newer way would do with `%`.
    environment.install_gettext_callables(gettext, ngettext, newstyle=False)  # type: ignore[attr-defined]
    environment.filters.update(filters)
    return environment
