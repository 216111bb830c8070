"""The receiver itself, without any framework: what comes in by HTTP, as values, and what is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from attrs import evolve

from vavasms.errors import InvalidInputError, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import in_english
from vavasms.inbound import handlers, responses
from vavasms.inbound.allowlist import Addresses
from vavasms.inbound.handlers import Handler, HandlerCall
from vavasms.inbound.idempotency import handle_once
from vavasms.inbound.parse import build_message, parse_inbound, read_fields
from vavasms.inbound.responses import WebhookReply
from vavasms.inbound.seen.base import ClaimStatus
from vavasms.inbound.seen.open import LazySeen, SeenPlace
from vavasms.inbound.stop_words import OptOuts, RevocableOptOuts, check_words, is_start, is_stop
from vavasms.inbound.tokens import Tokens
from vavasms.models import InboundMessage
from vavasms.numbers import Msisdn, parse_msisdn

logger = logging.getLogger("vavasms")

_STOP_OF_NO_NUMBER = N_("The inbound SMS %s asks for no more, but its sender is no number.")
_START_OF_NO_NUMBER = N_("The inbound SMS %s takes its stop back, but its sender is no number.")
#: Characters of a message id; the documentation's have 18.
MAX_ID = 200
#: Where an opt-out came from, in the list.
SOURCE = "inbound"


def _digest(message: InboundMessage) -> str:
    """Return what stands in for an id: of the fields, since a multipart body has other bytes each time."""
    fields = (message.message_id, message.sender, message.text, message.raw_date)
    return f"digest-{sha256(repr(fields).encode('utf-8', 'replace')).hexdigest()[:32]}"


class Receiver:
    """The receiver behind whatever speaks HTTP, as `InboundApp` does: `check`, read the body, `receive`."""

    def __init__(
        self,
        handler: Handler,
        *,
        token: str | Sequence[str],
        seen: SeenPlace = None,
        opt_outs: OptOuts | None = None,
        allow: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        on_conflict: Handler | None = None,
        region: str = "CI",
        stop_words: Iterable[str] = (),
        call: HandlerCall = handlers.call,
    ) -> None:
        self._handler, self._on_conflict, self._call = handler, on_conflict, call
        self._tokens = Tokens(token)
        self._addresses = Addresses(allow, trusted_proxies)
        self._seen = LazySeen(seen)
        self._opt_outs, self._region = opt_outs, region
        self._stop_words = check_words(stop_words)

    async def open(self) -> None:
        """Open the seen store now, so that what is wrong with it shows at the start."""
        await self._seen.get()

    async def aclose(self) -> None:
        """Close the seen store, if it was opened here."""
        await self._seen.aclose()

    def check(
        self, *, method: str, token: str, peer: str | None, forwarded: Iterable[str] = ()
    ) -> WebhookReply | None:
        """Return the refusal of a request, or None: then its body may be read.

        `peer` is the address of the other end (None for a Unix socket), `forwarded` the values of the
        X-Forwarded-For headers.
        """
        if not self._tokens.accept(token):
            return responses.NOT_FOUND
        if not self._addresses.allow(peer, forwarded):
            logger.warning(
                N_("An inbound call with the right token came from an address that is not allowed.")
            )
            return responses.NOT_FOUND
        return None if method == "POST" else responses.ONLY_POST

    async def receive(self, body: bytes, content_type: str = "") -> WebhookReply:
        """Handle the SMS in a body, once, and return the answer. Raises nothing."""
        if len(body) > responses.MAX_BODY:
            return responses.TOO_LARGE
        try:
            message, is_named = self._read(read_fields(body, content_type))
        except InvalidInputError as error:
            # For the platform's log.
            return responses.bad_request(error.english)
        try:
            if not is_named:
                # A digest cannot tell a second STOP from a copy of the first: each of them counts.
                await self._update_opt_outs(message)
            store = await self._seen.get()
            status = await handle_once(store, message, lambda: self._handle(message))
        except Exception as error:  # noqa: BLE001  whatever it is, the platform must send it again
            # The words of our own errors hold no number and no text.
            known = isinstance(error, VavaSMSError | handlers.HandlerFailedError)
            why = in_english(error.args[0]) if known else handlers.describe(error)
            logger.error(N_("The inbound SMS %s was not handled: %s"), message.message_id, why)  # noqa: TRY400
            return responses.FAILED
        if status is ClaimStatus.BUSY:
            return responses.BUSY
        if status is ClaimStatus.CONFLICT:
            await self._report_conflict(message)
        return responses.HANDLED

    def _read(self, fields: Mapping[str, str]) -> tuple[InboundMessage, bool]:
        """Read a message, and whether it has an id of its own; that of a stop without one is a digest.

        Raises `InvalidInputError` for any other message that is not whole.
        """
        draft = build_message(fields)
        if 0 < len(draft.message_id) <= MAX_ID and draft.message_id.isprintable():
            return parse_inbound(fields), True
        if draft.sender and is_stop(draft.text, self._stop_words):
            return evolve(draft, message_id=_digest(draft)), False
        if not draft.message_id:
            return parse_inbound(fields), True
        raise InvalidInputError(
            _("A message_id has at most {most} characters that can be printed.", most=MAX_ID),
            error_code="inbound.body",
        )

    async def _handle(self, message: InboundMessage) -> None:
        await self._update_opt_outs(message)
        try:
            await self._call(self._handler, message)
            return
        except Exception as error:  # noqa: BLE001  the user's, whatever it is
            failure = handlers.describe(error)
        raise handlers.HandlerFailedError(failure)

    async def _update_opt_outs(self, message: InboundMessage) -> None:
        """Put the sender of a stop on the list, or take the sender of a start off it. May be repeated."""
        if self._opt_outs is None:
            return
        stops = is_stop(message.text, self._stop_words)
        if not stops and not is_start(message.text):
            return
        number, name = self._read_number(message.sender), message.message_id
        if number is None:
            logger.warning(_STOP_OF_NO_NUMBER if stops else _START_OF_NO_NUMBER, name)
        elif stops:
            await self._opt_outs.add_opt_outs([number], source=SOURCE, now=time.time())
        elif not isinstance(self._opt_outs, RevocableOptOuts):
            logger.warning(
                N_("The inbound SMS %s takes its stop back, and nobody can be taken off this list."), name
            )
        elif await self._opt_outs.remove_opt_outs([number]):
            logger.info(
                N_("The inbound SMS %s takes its stop back: its sender is off the opt-out list."), name
            )

    def _read_number(self, sender: str) -> Msisdn | None:
        try:
            # Of the old plan too: the list must meet the numbers that campaigns send to.
            return parse_msisdn(sender, default_region=self._region, repair=True)
        except InvalidInputError:
            return None

    async def _report_conflict(self, message: InboundMessage) -> None:
        logger.warning(
            N_("The inbound SMS %s came again with other content after it was handled: left out."),
            message.message_id,
        )
        if self._on_conflict is None:
            return
        try:
            await self._call(self._on_conflict, message)
        except Exception as error:  # noqa: BLE001  it is handled, whatever the report does
            logger.error(N_("on_conflict failed: %s"), handlers.describe(error))  # noqa: TRY400  its words stay out
