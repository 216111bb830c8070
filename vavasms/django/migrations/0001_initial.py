"""The table of what waits for its commit, and the permissions of the admin's pages."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The beginning."""

    initial = True
    dependencies: ClassVar[list[Any]] = []
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="CampaignEntry",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "campaign",
                "verbose_name_plural": "campaigns",
                "abstract": False,
                "managed": False,
                "base_manager_name": "objects",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="OptedOutNumber",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "opt-out",
                "verbose_name_plural": "opt-outs",
                "abstract": False,
                "managed": False,
                "base_manager_name": "objects",
                "default_permissions": ("view", "add", "delete"),
            },
        ),
        migrations.CreateModel(
            name="SingleSend",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "single send",
                "verbose_name_plural": "single sends",
                "abstract": False,
                "managed": False,
                "base_manager_name": "objects",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="UnknownSend",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "unknown send",
                "verbose_name_plural": "unknown sends",
                "abstract": False,
                "managed": False,
                "base_manager_name": "objects",
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="PendingSend",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("idempotency_key", models.CharField(max_length=255)),
                ("recipient", models.CharField(max_length=20)),
                ("text", models.TextField()),
                ("sender_id", models.CharField(max_length=255, null=True)),
                ("account", models.CharField(default="", max_length=500)),
                ("not_before", models.FloatField(null=True)),
                ("backend", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("is_refused", models.BooleanField(default=False)),
                ("error_code", models.CharField(default="", max_length=100)),
            ],
            options={
                "db_table": "vavasms_pendingsend",
            },
        ),
    ]
