"""The guide: chapters in Markdown, in English and in French, which ship with the package."""

from __future__ import annotations

import re
from importlib.resources import files

#: The chapters in the order in which they are read; each is a file of that name in `en/` and in `fr/`.
CHAPTERS = (
    "start",
    "outcomes",
    "cost",
    "numbers",
    "lists",
    "campaigns",
    "desk",
    "machines",
    "operations",
    "sends",
    "queues",
    "django",
    "inbound",
    "testing",
    "errors",
    "settings",
    "commands",
    "security",
    "silence",
)
INDEX = "index"
_AROUND_MARKS = re.compile(r" (?=[;:!?»%](?:\W|$))|(?<=«) ")
#: What a chapter speaks of, and a person puts elsewhere: files for Prometheus and Grafana.
FILES = ("alerts.yml", "dashboard.json")


def read_chapter(name: str, language: str) -> str:
    """Return a chapter, or `INDEX`, as Markdown.

    Raises `KeyError` for a name that is none: it may come from outside.
    """
    if name not in (INDEX, *CHAPTERS):
        raise KeyError(name)
    return (files("vavasms.guide") / language / f"{name}.md").read_text(encoding="utf-8")


def bind_marks(prose: str) -> str:
    """Return prose in which no line ends before a French mark or after `«`.

    For what is shown: in the files the anchors of headings would change with it. No code goes in here.
    """
    return _AROUND_MARKS.sub("\xa0", prose)


def read_file(name: str) -> str:
    """Return one of `FILES`. Raises `KeyError` for a name that is none."""
    if name not in FILES:
        raise KeyError(name)
    return (files("vavasms.guide") / "files" / name).read_text(encoding="utf-8")


def read_picture(name: str) -> bytes:
    """Return a picture of the guide, a PNG. Raises `KeyError` for a name that is none."""
    picture = next(
        (file for file in (files("vavasms.guide") / "pictures").iterdir() if file.name == name), None
    )
    if picture is None:
        raise KeyError(name)
    return picture.read_bytes()
