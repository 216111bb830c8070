"""The guide on the sandbox's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote, urljoin

import httpx
import pytest

from vavasms.guide import CHAPTERS
from vavasms.i18n import LANGUAGES
from vavasms.sandbox import SandboxServer


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """Return one of its own: of a server that ran through a test that is not measured, nothing is measured."""
    with SandboxServer() as server:
        yield server


def fetch(sandbox: SandboxServer, path: str, **headers: str) -> httpx.Response:
    root = sandbox.url.removesuffix("/api")
    return httpx.get(f"{root}{path}", headers=headers, follow_redirects=True, trust_env=False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_opens_in_the_language_of_the_browser(sandbox: SandboxServer, language: str) -> None:
    page = fetch(sandbox, "/guide", **{"Accept-Language": language})
    assert page.status_code == 200
    assert page.url.path == f"/guide/{language}/index.md"
    assert page.headers["content-language"] == language
    assert f'<html lang="{language}">' in page.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_and_picture_of_the_guide_is_there(sandbox: SandboxServer, language: str) -> None:
    open_page = cache(lambda path: fetch(sandbox, path))
    for name in ("index", *CHAPTERS):
        page = open_page(f"/guide/{language}/{name}.md")
        assert page.status_code == 200, name
        assert "<!--" not in page.text
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            if "://" in link:
                continue
            path, _, anchor = unquote(urljoin(f"/guide/{language}/{name}.md", link)).partition("#")
            target = open_page(path)
            assert target.status_code == 200, (name, link)
            assert not anchor or f'id="{anchor}"' in target.text, (name, link)


@pytest.mark.parametrize(
    "path",
    [
        "/guide/de/start.md",
        "/guide/en/nothing.md",
        "/guide/en/..%2f..%2fversion.md",
        "/guide/pictures/no.png",
    ],
)
def test_what_is_no_chapter_is_not_found(sandbox: SandboxServer, path: str) -> None:
    assert fetch(sandbox, path).status_code == 404


def test_no_line_of_the_french_guide_can_end_before_a_mark(sandbox: SandboxServer) -> None:
    for name in CHAPTERS:
        page = fetch(sandbox, f"/guide/fr/{name}.md").text
        prose = re.sub(r"<(pre|code|style|script|title)\b.*?</\1>|<[^>]+>", "", page, flags=re.DOTALL)
        assert re.findall(r".{20}(?: [;:!?»](?=\s)|« )", prose) == [], name
