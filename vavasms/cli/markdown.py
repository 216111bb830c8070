"""Markdown on a terminal: prose is wrapped, what is to be copied is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.syntax import Syntax

from vavasms.guide import bind_marks

_match_chapter = re.compile(r"(\w+)\.md(?:#.*)?").fullmatch


class _WholeLines(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # The terminal's own wrapping puts no line end into what is copied; nor is a line indented or padded.
        syntax = Syntax("", self.lexer_name, theme=self.theme, background_color="default")
        text = syntax.highlight(self.text.plain.rstrip())
        text.rstrip()
        text.no_wrap, text.overflow = True, "ignore"
        yield text


class Guide(Markdown):
    """A chapter; print it without `crop`."""

    elements = Markdown.elements | {"fence": _WholeLines, "code_block": _WholeLines}

    def __init__(self, markup: str) -> None:
        super().__init__(markup, hyperlinks=False)
        # A comment shows nothing, and makes room for it.
        self.parsed = [token for token in self.parsed if token.type != "html_block"]
        for token in self.parsed:
            if token.children:
                token.children = list(_simplify(token.children))


def _simplify(tokens: Iterable[Token]) -> Iterator[Token]:
    """Show an address once, a picture by its words, a chapter by the command that opens it."""
    is_address = False
    for token in tokens:
        if token.type == "link_open":
            is_address = token.markup == "autolink"
            chapter = _match_chapter(str(token.attrs.get("href", "")))
            if chapter:
                token.attrs["href"] = f"vavasms guide {chapter[1]}"
        if token.type == "image":
            yield Token("text", "", 0, content=f"[{token.content}]" if token.content else "")
        elif token.type == "text":
            token.content = bind_marks(token.content)
            yield token
        elif not (is_address and token.type in ("link_open", "link_close")):
            yield token
