"""The app, as Django finds it by `INSTALLED_APPS`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from vavasms.django.checks import check_deployment, check_settings
from vavasms.django.ledger import create_ledger
from vavasms.django.process import forget_settings, leave_databases


class SmsConfig(AppConfig):
    """The app `vavasms`."""

    name = "vavasms.django"
    label = "vavasms"
    verbose_name = "SMS"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, follow what tests do to settings and databases, create the ledger."""
        register(check_settings)
        register(check_deployment, Tags.security, deploy=True)
        setting_changed.connect(forget_settings, dispatch_uid="vavasms.django")
        connection_created.connect(leave_databases, dispatch_uid="vavasms.django")
        post_migrate.connect(create_ledger, sender=self, dispatch_uid="vavasms.django")
