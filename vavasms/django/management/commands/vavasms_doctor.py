"""`manage.py vavasms_doctor`: what works and what does not, with a next step. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
from django.core.management.base import BaseCommand, CommandError

from vavasms.django.doctor import examine_project
from vavasms.django.language import djangos_language
from vavasms.doctor.findings import Finding, FindingState
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

_WORDS = {
    FindingState.GOOD: N_("good"),
    FindingState.WARNING: N_("warning"),
    FindingState.BAD: N_("bad"),
    FindingState.SKIPPED: N_("skipped"),
}


class Command(BaseCommand):
    """The doctor."""

    help = N_("Check what works and what does not, with a next step. Nothing is sent.")
    # What they would refuse is what is asked for.
    requires_system_checks: Sequence[str] = ()

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        """Print what was found; the exit code is 0, 2 for a wrong setting, 5 for what is not reached."""
        with djangos_language():
            try:
                findings = anyio.run(examine_project)
            except VavaSMSError as error:
                raise CommandError(f"{error} [{error.error_code}]", returncode=2) from None
            self._print(findings)
            self._judge(findings)

    def _print(self, findings: Sequence[Finding]) -> None:
        paint = {
            FindingState.GOOD: self.style.SUCCESS,
            FindingState.WARNING: self.style.WARNING,
            FindingState.BAD: self.style.ERROR,
        }
        for finding in findings:
            word = f"{_(_WORDS[finding.state])!s:<8}"
            painted = paint[finding.state](word) if finding.state in paint else word
            self.stdout.write(f"{painted} {finding.name:<12} {finding.sentence}")
            if finding.step:
                self.stdout.write(f"{'':<22}→ {finding.step}")

    def _judge(self, findings: Sequence[Finding]) -> None:
        bad = [finding for finding in findings if finding.state is FindingState.BAD]
        if bad:
            is_reached = any(not finding.is_unreached for finding in bad)
            raise CommandError(_("Something does not work: see above."), returncode=2 if is_reached else 5)
