"""What a page of the admin on the ledger is made of: values for one template, and what serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import field, frozen
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from vavasms.django.language import djangos_language
from vavasms.errors import VavaSMSError
from vavasms.i18n import format_moment, translate
from vavasms.inbound.handlers import describe

_NOWHERE = "–"


@frozen(kw_only=True)
class Choice:
    """A button."""

    name: str
    label: str
    #: What is to be ticked beforehand; empty where nothing is.
    sure: str = ""


@frozen(kw_only=True)
class Row:
    """A line of a table, with what may be decided on it."""

    cells: Sequence[str]
    #: What names the line to whoever decides.
    fields: Mapping[str, str] = field(factory=dict)
    choices: Sequence[Choice] = ()


@frozen(kw_only=True)
class Section:
    """A table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    #: What is said where there is no line.
    empty: str
    note: str = ""
    #: What is said below the last line.
    more: str = ""


@frozen(kw_only=True)
class TextForm:
    """A text to be typed, and what may be done with it."""

    label: str
    choices: Sequence[Choice]
    value: str = ""


@frozen(kw_only=True)
class LedgerPage:
    """A page. It is never kept: it shows numbers."""

    sections: Sequence[Section] = ()
    intro: str = ""
    form: TextForm | None = None
    error: str = ""


class PageFailedError(Exception):
    """A fault behind a page, by its kind and its place.

    Django mails the words of an error, and its frames: they hold numbers.
    """


class LedgerAdmin(admin.ModelAdmin):
    """A page on the ledger, in the place of a list of rows."""

    def get_urls(self) -> list[Any]:
        """Return the one address; the index finds it by its name."""
        name = f"vavasms_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.serve), name=name)]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Return that it can be looked at: what else may be done is on the page."""
        return {"add": False, "change": False, "delete": False, "view": self.has_view_permission(request)}

    @method_decorator(sensitive_post_parameters())
    def serve(self, request: HttpRequest) -> HttpResponse:
        """Show the page, or do what was decided on it. Raises `PageFailedError` for a fault behind it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            with djangos_language():
                if request.method == "POST":
                    return self._decide(request)
                return self.show(request, self._make(request))
        except (BadRequest, PermissionDenied):
            raise
        except Exception as error:  # noqa: BLE001  raised below, without its words and frames
            failed = PageFailedError(describe(error))
        raise failed

    def show(self, request: HttpRequest, page: LedgerPage) -> HttpResponse:
        """Return a page, which no browser is to keep."""
        context = {
            **self.admin_site.each_context(request),
            "title": str(self.opts.verbose_name_plural).capitalize(),
            "opts": self.opts,
            "page": page,
        }
        answer = render(request, "vavasms/ledger.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def _make(self, request: HttpRequest) -> LedgerPage:
        try:
            return self.make_page(request)
        except VavaSMSError as error:
            return LedgerPage(error=translate(error.args[0]))

    def _decide(self, request: HttpRequest) -> HttpResponse:
        try:
            answer = self.decide(request)
        except VavaSMSError as error:
            messages.error(request, translate(error.args[0]))
            answer = None
        except (KeyError, ValueError):
            raise BadRequest from None  # it is of no page of ours
        return HttpResponseRedirect(request.path) if answer is None else answer

    def make_page(self, _request: HttpRequest) -> LedgerPage:
        """Return the page as the ledger has it; here an empty one. Raises what reading the ledger raises."""
        return LedgerPage()  # pragma: no cover - each page has its own

    def decide(self, _request: HttpRequest) -> HttpResponse | None:
        """Do what was decided, and return a page to show; None: the page as it is now.

        Raises `VavaSMSError` where it cannot be done.
        """
        raise PermissionDenied

    def note(self, request: HttpRequest, entry: str, message: str) -> None:
        """Note in the admin's own log who decided what."""
        self.log_change(request, self.model(pk=entry), message)


def show_moment(at: float | None) -> str:
    """Return a moment in the time zone of the project."""
    if at is None:
        return _NOWHERE
    return format_moment(timezone.localtime(datetime.fromtimestamp(at, UTC)))
