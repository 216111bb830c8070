"""vavasms as a Django app: `INSTALLED_APPS = […, "vavasms.django"]`, `VAVASMS = {…}`, `send_sms(…)`.

Needs the extra: `pip install "vavasms[django]"`.
"""

from __future__ import annotations

from vavasms.django.backends.locmem import outbox
from vavasms.django.client import get_sms
from vavasms.django.messages import SmsMessage
from vavasms.django.sends import asend_sms, send_sms

__all__ = ["SmsMessage", "asend_sms", "get_sms", "outbox", "send_sms"]
