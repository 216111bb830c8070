"""What the page says: one HTML without script, number or code, in the language of the moment. Pure.

It speaks of "these SMS": the opt-out list keeps campaigns away, not a code or a notice that was asked for.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from attrs import field, frozen

from vavasms.i18n import current_language
from vavasms.i18n import gettext as _
from vavasms.ledger.optout_codes import CodeHolder

#: What a button of the page asks for.
STOP, START = "stop", "start"
_OTHER: Mapping[str, tuple[str, str]] = {"en": ("fr", "Français"), "fr": ("en", "English")}


@frozen(kw_only=True)
class PageReply:
    """An answer: a status, a page, and what a browser may do with it."""

    status: int
    html: str = field(repr=False)
    headers: Mapping[str, str]


def show_question(name: str) -> PageReply:
    """Ask for the press."""
    text = _("One press, and no more SMS like this one come to you from this sender.")
    if name:
        text = _("One press, and no more SMS like this one come to you from {name}.", name=name)
    return _reply(200, name, _("No more of these SMS?"), text, _make_form(STOP, _("Stop the SMS")))


def show_holder(name: str, holder: CodeHolder) -> PageReply:
    """Show where a number stands: not on the opt-out list, or there, and whether the link takes it back."""
    if holder.opt_out is None:
        return show_question(name)
    heading = _("You get no more of these SMS")
    if not holder.can_take_back:
        text = _("You asked for it in another way than by this link: to get them again, ask the sender.")
        return _reply(200, name, heading, text)
    text = _("It is noted. An SMS that is on its way may still come. Pressed by mistake? Take it back:")
    return _reply(200, name, heading, text, _make_form(START, _("Get the SMS again"), is_quiet=True))


def show_taken_back(name: str) -> PageReply:
    """Confirm that the SMS come again."""
    text = _("It is noted. You can stop them again at any time:")
    form = _make_form(STOP, _("Stop the SMS"), is_quiet=True)
    return _reply(200, name, _("You get the SMS again"), text, form)


def show_unknown() -> PageReply:
    """Answer a code that is nobody's, and tell no more of it."""
    text = _("Open it once more from the SMS, whole, with its capitals and small letters as they are.")
    return _reply(404, "", _("This link leads nowhere"), text)


def show_wait(seconds: float) -> PageReply:
    """Answer an address from which too many wrong codes came."""
    text = _("Too many wrong links came from this network. Try again in a few minutes, or over another one.")
    return _reply(429, "", _("A moment, please"), text, headers={"Retry-After": str(int(seconds) + 1)})


def show_not_understood() -> PageReply:
    """Answer a form that is none of the page's."""
    text = _("Open the link once more from the SMS, and press the button.")
    return _reply(400, "", _("That was not understood"), text)


def show_method() -> PageReply:
    """Answer a method that the page has no use for."""
    reply = show_not_understood()
    return PageReply(status=405, html=reply.html, headers={**reply.headers, "Allow": "GET, HEAD, POST"})


def show_failure() -> PageReply:
    """Answer where the ledger is not at hand."""
    text = _("It is our fault. Try again in a moment.")
    return _reply(503, "", _("It did not work"), text, headers={"Retry-After": "30"})


def _make_form(choice: str, label: str, *, is_quiet: bool = False) -> str:
    # Without an action: to where the page came from.
    kind = ' class="quiet"' if is_quiet else ""
    button = f'<button{kind} name="choice" value="{choice}">{escape(label)}</button>'
    return f'<form method="post">{button}</form>'


def _reply(
    status: int,
    name: str,
    heading: str,
    text: str,
    form: str = "",
    *,
    headers: Mapping[str, str] | None = None,
) -> PageReply:
    language = current_language()
    other, other_name = _OTHER[language]
    sender = f'<p class="sender">{escape(name)}</p>' if name else ""
    html = _read("page.html").substitute(
        language=language,
        heading=escape(heading),
        style=_read("page.css").template,
        body=f"{sender}<h1>{escape(heading)}</h1><p>{escape(text)}</p>{form}",
        other=other,
        other_name=other_name,
    )
    return PageReply(status=status, html=html, headers={**_make_headers(), **(headers or {})})


@cache
def _read(name: str) -> Template:
    return Template(files("vavasms.inbound.optout").joinpath(name).read_text("utf-8"))


@cache
def _make_headers() -> Mapping[str, str]:
    """Return what a browser may do: show the page with its own look, and send its form back to it."""
    digest = b64encode(sha256(_read("page.css").template.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Vary": "Accept-Language",
        # The address is all it takes to opt out: no other site is told of it, and no search engine.
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
