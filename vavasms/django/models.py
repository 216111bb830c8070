"""The table of what waits for its commit, and the entries of the admin, which have no table.

The numbers, texts and outcomes of all sends are in the ledger, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.functional import lazy

from vavasms.django.language import say
from vavasms.i18n import gettext_noop as N_

#: What waits for its commit.
TABLE = "vavasms_pendingsend"


class PendingSend(models.Model):
    """A text on its way to the ledger: written in the project's own transaction, and gone right after it."""

    idempotency_key = models.CharField(max_length=255)
    recipient = models.CharField(max_length=20)
    text = models.TextField()
    #: That of the settings by then, where the caller named none: they may change before it is in the ledger.
    sender_id = models.CharField(max_length=255, null=True)
    #: Whose it is, as the ledger names accounts; empty for a backend that is not the gateway's.
    account = models.CharField(max_length=500, default="")
    #: Seconds since the epoch, whatever the project makes of time zones.
    not_before = models.FloatField(null=True)
    backend = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    #: Whether the ledger refused it for good. Asked for in place of an empty code, which some databases
    #: take for NULL.
    is_refused = models.BooleanField(default=False)
    #: The code of the error by which it did, to be shown.
    error_code = models.CharField(max_length=100, default="")

    class Meta:
        """The one table of the app."""

        db_table = TABLE

    def __str__(self) -> str:
        """Return neither the number nor the text."""
        return f"PendingSend({self.pk})"


def _name(english: str) -> Any:
    """Return a name in the language that Django has when it shows it."""
    return lazy(say, str)(english)


class NoRows(models.Manager):
    """A manager that finds nothing, and asks no database for it."""

    def get_queryset(self) -> Any:
        """Return an empty queryset."""
        return super().get_queryset().none()


class LedgerEntry(models.Model):
    """A page of the admin on the ledger: it has permissions, and no table."""

    # What the log of the admin calls an entry that was decided on.
    id = models.CharField(max_length=255, primary_key=True)

    objects = NoRows()

    class Meta:
        """No table."""

        abstract = True
        # For `dumpdata --all`, which asks this one.
        base_manager_name = "objects"
        managed = False

    def __str__(self) -> str:
        """Return the key of a send, the id of a campaign, the number with its middle hidden."""
        return str(self.pk)


class SingleSend(LedgerEntry):
    """The single sends."""

    class Meta(LedgerEntry.Meta):
        """Who may see them."""

        abstract = False
        default_permissions = ("view",)
        verbose_name = _name(N_("single send"))
        verbose_name_plural = _name(N_("single sends"))


class UnknownSend(LedgerEntry):
    """The sends and batches of which nobody knows whether they went out."""

    class Meta(LedgerEntry.Meta):
        """Who may see them, and decide on them."""

        abstract = False
        default_permissions = ("view", "change")
        verbose_name = _name(N_("unknown send"))
        verbose_name_plural = _name(N_("unknown sends"))


class OptedOutNumber(LedgerEntry):
    """The opt-out list."""

    class Meta(LedgerEntry.Meta):
        """Who may see it, put numbers on it and take them off."""

        abstract = False
        default_permissions = ("view", "add", "delete")
        verbose_name = _name(N_("opt-out"))
        verbose_name_plural = _name(N_("opt-outs"))


class CampaignEntry(LedgerEntry):
    """The campaigns."""

    class Meta(LedgerEntry.Meta):
        """Who may see them."""

        abstract = False
        default_permissions = ("view",)
        verbose_name = _name(N_("campaign"))
        verbose_name_plural = _name(N_("campaigns"))
