"""The settings of the Django in this process: one for all tests, whichever comes first."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import django
from django.conf import settings

APPS = (
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "vavasms.django",
)
MIDDLEWARE = (
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
_PROCESSORS = ("auth.context_processors.auth", "messages.context_processors.messages")


def configure_django() -> None:
    """Set Django up, unless it is."""
    if settings.configured:
        return
    folder = Path(tempfile.mkdtemp(prefix="django"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings.configure(
        ALLOWED_HOSTS=["test", "testserver"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "project.sqlite3")}
        },
        INSTALLED_APPS=[*APPS],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[*MIDDLEWARE],
        # The quickest one: a test has no password to keep.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SECRET_KEY="for a test",
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        *(f"django.contrib.{name}" for name in _PROCESSORS),
                    ]
                },
            }
        ],
        USE_TZ=True,
    )
    django.setup()
