"""`manage.py vavasms_worker`: send what is enqueued, and carry the campaigns of a PostgreSQL ledger."""

from __future__ import annotations

from typing import Any

import anyio
from django.core.management.base import BaseCommand, CommandError, CommandParser

from vavasms.django.language import say
from vavasms.django.worker import DjangoWorker
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_


class Command(BaseCommand):
    """One of any number of workers."""

    help = N_("Send what is enqueued, and carry the campaigns of a PostgreSQL ledger.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        words = say(N_("Requests of campaigns under way at once."))
        parser.add_argument("--concurrency", type=int, default=16, metavar="N", help=words)

    def handle(self, *_arguments: Any, concurrency: int, **_options: Any) -> None:
        """Work until Ctrl-C or SIGTERM."""
        if concurrency < 1:
            raise CommandError(_("{option} is a whole number, 1 or more.", option="--concurrency"))
        worker = DjangoWorker(concurrency=concurrency, say=self._say)
        try:
            anyio.run(worker.run)
        except VavaSMSError as error:
            raise CommandError(f"{error} [{error.error_code}]") from None

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()
