"""`path("sms/", include("vavasms.django.urls"))`: inbound SMS, and the page behind opt-out links.

They answer every path under theirs, so that no log has a token or a code in it.
"""

from __future__ import annotations

from django.urls import path

from vavasms.django.views import opt_out, receive_sms

app_name = "vavasms"
urlpatterns = [
    path("inbound/<path:token>", receive_sms, name="inbound"),
    path("d/<path:code>", opt_out, name="opt_out"),
]
