"""The guide on the sandbox's page, with no network: `/guide`, `/guide/fr/start.md`."""

from __future__ import annotations

import re
from itertools import pairwise

from attrs import define, field
from jinja2 import Environment
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from vavasms.guide import INDEX, bind_marks, read_chapter, read_picture
from vavasms.i18n import LANGUAGES, language_set
from vavasms.web.language import request_language

_is_no_word = re.compile(r"[^\w\- ]").sub


@define(eq=False)
class _Guide:
    environment: Environment
    markdown: MarkdownIt = field(factory=lambda: MarkdownIt("commonmark", {"html": False}).enable("table"))

    async def open(self, request: Request) -> Response:
        """Redirect to the table of chapters in the reader's language."""
        return RedirectResponse(f"/guide/{request_language(request)}/{INDEX}.md")

    async def show(self, request: Request) -> Response:
        """Return one chapter. The paths are those of the files, so that their links work here too."""
        language, name = request.path_params["language"], request.path_params["name"]
        try:
            text = read_chapter(name, language) if language in LANGUAGES else None
        except KeyError:
            text = None
        if text is None:
            raise HTTPException(404)
        with language_set(language):
            html = self.environment.get_template("guide.html").render(
                language=language,
                name=name,
                title=text.partition("\n")[0].lstrip("# "),
                chapter=Markup(self._render(text)),  # noqa: S704  our own text, its HTML escaped
            )
        return HTMLResponse(html, headers={"Content-Language": language})

    def _render(self, text: str) -> str:
        # What is written for the tests is no part of the text.
        tokens = self.markdown.parse(re.sub(r"^<!--.*?-->\n", "", text, flags=re.MULTILINE | re.DOTALL))
        _anchor_headings(tokens)
        for prose in (child for token in tokens for child in token.children or () if child.type == "text"):
            prose.content = bind_marks(prose.content)
        return str(self.markdown.renderer.render(tokens, self.markdown.options, {}))


async def _show_picture(request: Request) -> Response:
    try:
        picture = read_picture(request.path_params["name"])
    except KeyError:
        picture = None
    if picture is None:
        raise HTTPException(404)
    return Response(picture, media_type="image/png")


def _anchor_headings(tokens: list[Token]) -> None:
    """Set the anchors that headings have where the repository is browsed."""
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", _is_no_word("", inline.content.casefold()).replace(" ", "-"))


def guide_routes(environment: Environment) -> list[BaseRoute]:
    """Return the routes of the guide."""
    guide = _Guide(environment)
    return [
        Route("/guide", guide.open, methods=["GET"]),
        Route("/guide/pictures/{name}", _show_picture, methods=["GET"]),
        Route("/guide/{language}/{name}.md", guide.show, methods=["GET"]),
    ]
