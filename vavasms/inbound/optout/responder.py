"""What the opt-out page answers, without any framework: a request as values, and what is shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from attrs import field, frozen

from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import language_set
from vavasms.inbound import handlers
from vavasms.inbound.allowlist import Addresses
from vavasms.inbound.optout import page
from vavasms.inbound.optout.guesses import GuessLimiter, name_origin
from vavasms.inbound.optout.lazy_ledger import LazyLedger
from vavasms.inbound.optout.page import START, STOP, PageReply
from vavasms.inbound.stop_words import OptOuts, RevocableOptOuts
from vavasms.ledger.base import Ledger
from vavasms.ledger.optout_codes import LENGTH, LINK_SOURCE, CodeHolder, is_code
from vavasms.web.accept_language import choose_language

logger = logging.getLogger("vavasms")

_UNNAMED_PROXY = N_("The opt-out page is behind a proxy that trusted_proxies does not name: no guess counts.")
_GUESSING = N_("An address tries opt-out links that are nobody's: it is answered 429 for a while.")
#: Bytes of a form of ours: `choice=start`.
MAX_FORM = 1_024
#: What phones take into a link behind which a sentence goes on.
_ENDS = ".,;:!?)]}>'\"»… "


@frozen(kw_only=True)
class PageRequest:
    """What the page is asked."""

    method: str
    #: What stands in the place of the code.
    code: str = field(repr=False)
    #: `lang` of the query, and `Accept-Language`.
    language: str = ""
    accepted: str = ""
    #: The address of the other end (None for a Unix socket), and the values of X-Forwarded-For.
    peer: str | None
    forwarded: Sequence[str] = ()
    #: The form that was sent; longer than `MAX_FORM` it is none.
    body: bytes = field(default=b"", repr=False)


class OptOutResponder:
    """The page behind whatever speaks HTTP, as `OptOutApp` does."""

    def __init__(
        self,
        ledger: Ledger | str | Path,
        *,
        name: str = "",
        opt_outs: OptOuts | None = None,
        trusted_proxies: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = LazyLedger(ledger)
        self._name, self._opt_outs, self._clock = name, opt_outs, clock
        self._addresses = Addresses((), trusted_proxies)
        self._guesses = GuessLimiter()
        self._has_warned = False

    async def open(self) -> None:
        """Open the ledger now, so that what is wrong with it shows at the start."""
        await self._ledger.get()

    async def aclose(self) -> None:
        """Close the ledger, if it was opened here."""
        await self._ledger.aclose()

    async def answer(self, request: PageRequest) -> PageReply:
        """Return the page. A GET and a HEAD change nothing. Raises nothing."""
        with language_set(choose_language(request.language, accepted=request.accepted, default="fr")):
            try:
                return await self._answer(request)
            except Exception as error:  # noqa: BLE001  whatever it is, the person must try again
                why = error.english if isinstance(error, VavaSMSError) else handlers.describe(error)
                logger.error(N_("The opt-out page did not work: %s"), why)  # noqa: TRY400  its words stay out
                return page.show_failure()

    async def _answer(self, request: PageRequest) -> PageReply:
        origin = self._find_origin(request)
        wait = 0.0 if origin is None else self._guesses.wait(origin, self._clock())
        if wait:
            return page.show_wait(wait)
        # What cannot be a code guesses nothing: browsers ask for icons by themselves.
        code = request.code[:LENGTH] if not request.code[LENGTH:].strip(_ENDS) else ""
        ledger = await self._ledger.get() if is_code(code) else None
        holder = await ledger.optout_codes.find(code) if ledger is not None else None
        if ledger is None or holder is None:
            self._count_miss(origin if ledger is not None else None)
            return page.show_unknown()
        if request.method in ("GET", "HEAD"):
            return page.show_holder(self._name, holder)
        return await self._press(ledger, code, request) if request.method == "POST" else page.show_method()

    async def _press(self, ledger: Ledger, code: str, request: PageRequest) -> PageReply:
        choice = _read_choice(request.body)
        if choice == STOP:
            return page.show_holder(self._name, await self._opt_out(ledger, code))
        if choice != START:
            return page.show_not_understood()
        holder = await self._take_back(ledger, code)
        is_back = holder.opt_out is None
        return page.show_taken_back(self._name) if is_back else page.show_holder(self._name, holder)

    async def _opt_out(self, ledger: Ledger, code: str) -> CodeHolder:
        now = time.time()
        holder = await ledger.optout_codes.opt_out(code, now=now)
        assert holder is not None
        # The ledger's own first: no campaign is to send to it whatever becomes of the other one.
        if self._opt_outs is not None:
            await self._opt_outs.add_opt_outs([holder.recipient], source=LINK_SOURCE, now=now)
        logger.info(N_("Somebody opted out by a link."))
        return holder

    async def _take_back(self, ledger: Ledger, code: str) -> CodeHolder:
        before = await ledger.optout_codes.find(code)
        assert before is not None
        # The ledger's own last: while it has the opt-out, a press that failed may be repeated.
        if before.can_take_back and isinstance(self._opt_outs, RevocableOptOuts):
            await self._opt_outs.remove_opt_outs([before.recipient])
        holder = await ledger.optout_codes.take_back(code)
        assert holder is not None
        if before.can_take_back and holder.opt_out is None:
            logger.info(N_("Somebody took an opt-out back by a link."))
        return holder

    def _find_origin(self, request: PageRequest) -> str | None:
        """Return whom a wrong code is counted for; None where nobody knows who it was."""
        origin = self._addresses.find_origin(request.peer, request.forwarded)
        if origin is None:
            return None
        if request.forwarded and not self._addresses.trust(request.peer) and origin.is_private:
            # Everybody comes through it: one who guesses would lock them all out.
            if not self._has_warned:
                logger.warning(_UNNAMED_PROXY)
            self._has_warned = True
            return None
        return name_origin(origin)

    def _count_miss(self, origin: str | None) -> None:
        if origin is not None and self._guesses.add_miss(origin, self._clock()):
            logger.warning(_GUESSING)


def _read_choice(body: bytes) -> str:
    """Return what a form asks for; empty where it is none of ours."""
    fields: dict[str, list[Any]] = parse_qs(body.decode("utf-8", "replace")) if len(body) <= MAX_FORM else {}
    return str(fields.get("choice", [""])[0])
