"""The app, as Django finds it by `INSTALLED_APPS`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.core.signals import setting_changed

from vavasms.django.checks import check_deployment, check_settings
from vavasms.django.client import forget_settings


class SmsConfig(AppConfig):
    """The app `vavasms`."""

    name = "vavasms.django"
    label = "vavasms"
    verbose_name = "SMS"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and follow settings that a test overrides."""
        register(check_settings)
        register(check_deployment, Tags.security, deploy=True)
        setting_changed.connect(forget_settings, dispatch_uid="vavasms.django")
