"""The system checks of the setting: `vavasms.E001` and the others."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  Django's own name

from vavasms.django.language import djangos_language
from vavasms.django.settings import BACKENDS, NAME, SettingProblem, find_problems
from vavasms.i18n import gettext as _
from vavasms.i18n import translate


def check_settings(**_options: Any) -> list[CheckMessage]:
    """Return what is wrong with `VAVASMS`. No secret of it is shown."""
    return [_make_message(problem) for problem in find_problems(getattr(settings, NAME, None))]


def check_deployment(**_options: Any) -> list[CheckMessage]:
    """Return what is wrong with it on a server: `manage.py check --deploy`."""
    values = getattr(settings, NAME, None)
    backend = values.get("BACKEND") if isinstance(values, dict) else None
    if not isinstance(backend, str) or backend not in BACKENDS or backend == "gateway":
        return []
    sentence = _("`VAVASMS['BACKEND']` is `{backend}`: no SMS reaches a phone.", backend=backend)
    hint = _("Leave it out, or write `gateway`.")
    return [_make_message(SettingProblem(id="W003", sentence=sentence, hint=hint))]


def _make_message(problem: SettingProblem) -> CheckMessage:
    kind = Warning if problem.is_warning else Error
    with djangos_language():
        return kind(translate(problem.sentence), hint=translate(problem.hint), id=f"vavasms.{problem.id}")
