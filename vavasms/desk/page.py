"""What every page of the desk has: its templates, its token, what was just done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import define, field, frozen
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from vavasms.desk.desk import Desk
from vavasms.desk.words import FILTERS, describe_error
from vavasms.errors import InvalidInputError, VavaSMSError
from vavasms.i18n import current_language
from vavasms.i18n import gettext as _
from vavasms.web.body import read_bounded
from vavasms.web.language import keep_language
from vavasms.web.templates import make_environment

#: Sessions whose last action is remembered.
_MAX_NOTES = 100

Handler = Callable[[Request], Awaitable[Response]]


@cache
def _environment() -> Environment:
    return make_environment("vavasms.desk", FILTERS)


@frozen(kw_only=True)
class Note:
    """What a page says once of what was just done."""

    sentence: str
    is_error: bool = False


@define(kw_only=True, eq=False)
class Pages:
    """What the handlers of all pages share."""

    desk: Desk
    #: What the terminal was told to use, to be shown.
    ledger_name: str
    is_demo: bool = False
    _notes: dict[str, Note] = field(factory=dict, init=False)

    def render(self, request: Request, template: str, /, http_status: int = 200, **values: Any) -> Response:
        """Return a page, whole and never stored by the browser."""
        language = current_language()
        html = (
            _environment()
            .get_template(template)
            .render(
                language=language,
                path=request.url.path,
                token=request.state.token,
                note=self._notes.pop(request.state.token, None),
                sender_id=self.desk.client.account.sender_id or "",
                ledger_name=self.ledger_name,
                is_demo=self.is_demo,
                is_shared=self.desk.ledger.is_shared,
                is_gone=self.desk.is_gone(),
                **values,
            )
        )
        response = HTMLResponse(
            html, http_status, {"Cache-Control": "no-store", "Content-Language": language}
        )
        if request.query_params.get("lang") == language:
            keep_language(response, language)
        return response

    def render_part(self, template: str, **values: Any) -> Response:
        """Return a part of a page, which a script puts in its place."""
        html = _environment().get_template(template).render(**values)
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    def missing(self, request: Request) -> Response:
        """Return the page of what is not there."""
        return self.render(request, "missing.html", 404)

    def say(self, request: Request, sentence: str, *, is_error: bool = False) -> None:
        """Keep a sentence for the next page, which shows it once."""
        while len(self._notes) >= _MAX_NOTES:
            del self._notes[next(iter(self._notes))]
        self._notes[request.state.token] = Note(sentence=sentence, is_error=is_error)

    async def act(
        self, request: Request, target: str, work: Callable[[], Awaitable[object]], sentence: str = ""
    ) -> Response:
        """Do something, and go to a page that says what became of it."""
        try:
            await work()
        except VavaSMSError as error:
            self.say(request, describe_error(error), is_error=True)
        else:
            if sentence:
                self.say(request, sentence)
        self.desk.counts.forget()
        return go(target)

    async def read_upload(self, request: Request, most: int) -> bytes:
        """Return what a browser sends as it is. Raises `InvalidInputError` where it is too much."""
        data = await read_bounded(request, most)
        if data is not None:
            return data
        raise InvalidInputError(
            _("The list is larger than {most} MB. Nothing was sent.", most=most // 1_000_000),
            error_code="desk.list_too_large",
        )


def go(target: str) -> Response:
    """Go to a page, by a request of its own."""
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


def typed(request: Request, name: str) -> str:
    """Return what a form holds under a name."""
    form: Mapping[str, Sequence[str]] = request.state.form
    return form.get(name, [""])[0]
