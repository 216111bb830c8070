"""`AsyncVavaSMS`: the client for asyncio and trio."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from vavasms import endpoints
from vavasms.bulk.models import DEFAULT_BATCH_SIZE, BulkOptions, BulkReport, OnProgress
from vavasms.bulk.recipients import Recipients, check_recipients
from vavasms.bulk.sender import BulkStream, Collector
from vavasms.config import (
    Timeouts,
    check_switches,
    load_settings,
    misconfigured,
    name_account,
    no_sender_id,
    settle_timeouts,
)
from vavasms.endpoints import Account
from vavasms.errors import InvalidInputError, InvalidNumberError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.ledger.send_record import SendRecord
from vavasms.models import Balance, DeliveryReport, Lot, OtpReceipt, OtpVerification
from vavasms.numbers import Msisdn, check_region, parse_msisdn, read_wire
from vavasms.profile.file import find_profile
from vavasms.profile.models import GatewayProfile, check_gateway
from vavasms.sends.base import OpenLedger, OtpDraft, Otps, Sends
from vavasms.tracebacks import hide_frames, hide_frames_async
from vavasms.transport.hooks import Hook
from vavasms.transport.http import AsyncBaseTransport, HttpTransport
from vavasms.transport.outcome import OutcomePolicy
from vavasms.transport.tls import TLS
from vavasms.wire.requests import build_send_otp, draft_text, parse_code

_NO_LEDGER = N_("A key, the outbox and the log need a ledger: make the client with ledger='sms.db'.")


class AsyncVavaSMS:
    """A client of the VavaSMS gateway, for asyncio and trio.

    It may be used in one event loop after the other, and in several at a time, each with connections of its
    own; not under asyncio and trio both. Made before a fork it opens itself anew in the child, unless a call
    of it was under way or it has a `transport`: it raises `ConfigurationError` there then.

    Make one for the life of the program: a new one costs a TLS context, about 30 ms. Credentials and
    settings that are not given come from `VAVASMS_USERNAME`, `VAVASMS_PASSWORD`, `VAVASMS_SENDER_ID`,
    `VAVASMS_BASE_URL`, `VAVASMS_STATUS_PATH` and `VAVASMS_PROFILE`. Raises `ConfigurationError` where they do
    not suffice.

    :param region: the country of national numbers such as `0709000001`, of its current numbering plan.
    :param max_connections: the most requests under way at once.
    :param transport: an `httpx.AsyncBaseTransport` instead of the built-in one; closed with the client. It
        answers for what the built-in one does: the body is asked for once, and before a reply is read;
        nothing is sent anew, no redirect followed; no reply left over from an earlier request, a
        cancelled one above all, is ever taken for that of a later one; and, where it is not httpx's own,
        it stands being used in every event loop that the client is used in.
    :param proxy: a proxy's URL; without one `HTTPS_PROXY` and `NO_PROXY` count, unless `trust_env=False`.
    :param tls: a CA bundle or an `ssl.SSLContext`. The checks cannot be turned off.
    :param profile: what is known of the gateway: a `GatewayProfile`, or the path of a file of `vavasms probe`
        (`VAVASMS_PROFILE`). Every other argument and variable wins over it, and it over the defaults. One of
        another gateway raises `ConfigurationError`, save on this machine.
    :param lots_are_atomic: the vendor has told you that a lot refused for one number (903) went to nobody.
        None: as the profile says, else False.
    :param retry_refused: take 421, 425 and 429 for "nothing was sent"; False makes them unknown.
    :param refusals_are_final: your gateway is known to answer a bare 4xx only to what it did not send: such a
        send is rejected where its body holds no sign of a success. False: it is unknown.
    :param ledger: where single sends are kept: the path of a file, `postgresql://user@host/name`, or an open
        ledger. With it a send takes an `idempotency_key`, and each is kept, with a key of its own where it is
        given none: its recipients, its outcome, its ids, and of its text a salted digest.
    :param keep: how long a send is kept beyond its outcome; its key is free after that.
    :param keep_texts: keep the texts too.
    :param otp_limits: how many one-time codes go to one number, caller, range and country, and how many wrong
        ones are checked. Counted in the ledger; without one in the memory of this process.
    :param on_request: called with a `CallInfo` before each attempt; a plain function, quick, without I/O.
    :param on_response: the same, after each attempt.
    """

    @hide_frames
    def __init__(
        self,
        username: str | None = None,
        password: str | None = None,
        *,
        sender_id: str | None = None,
        base_url: str | None = None,
        status_path: str | None = None,
        region: str = "CI",
        max_connections: int = 32,
        transport: AsyncBaseTransport | None = None,
        timeouts: Timeouts | None = None,
        proxy: str | None = None,
        tls: TLS = None,
        trust_env: bool = True,
        profile: GatewayProfile | str | Path | None = None,
        lots_are_atomic: bool | None = None,
        retry_refused: bool = True,
        refusals_are_final: bool = False,
        ledger: str | Path | OpenLedger | None = None,
        keep: timedelta = timedelta(days=30),
        keep_texts: bool = False,
        otp_limits: OtpLimits | None = None,
        on_request: Hook | None = None,
        on_response: Hook | None = None,
    ) -> None:
        self._profile = find_profile(profile)
        if lots_are_atomic is None:
            lots_are_atomic = bool(self._profile.lots_are_atomic)
        check_switches(
            trust_env=trust_env,
            lots_are_atomic=lots_are_atomic,
            retry_refused=retry_refused,
            refusals_are_final=refusals_are_final,
            keep_texts=keep_texts,
        )
        self._settings = load_settings(
            username,
            password,
            sender_id=sender_id,
            base_url=base_url,
            status_path=status_path,
            default_status_path=self._profile.default_status_path,
        )
        check_gateway(self._profile, self._settings.base_url)
        self._region = check_region(region)
        self._timeouts = settle_timeouts(timeouts)
        self._transport = HttpTransport(
            self._settings,
            timeouts=self._timeouts,
            policy=OutcomePolicy(
                lots_are_atomic=lots_are_atomic,
                retry_refused=retry_refused,
                refusals_are_final=refusals_are_final,
            ),
            max_connections=max_connections,
            transport=transport,
            proxy=proxy,
            tls=tls,
            trust_env=trust_env,
            on_request=on_request,
            on_response=on_response,
        )

        self._keeper: Sends | None = None
        self._otps: Otps | None = None
        if ledger is not None or otp_limits is not None:
            # Who has neither pays nothing for them.
            from vavasms.sends.setup import SendOptions, set_up

            options = None
            if ledger is not None:
                options = SendOptions(ledger=ledger, keep=keep, keep_texts=keep_texts)
            self._keeper, self._otps = set_up(self.account, options, otp_limits)

    def __repr__(self) -> str:
        settings = getattr(self, "_settings", None)
        if settings is None:
            return "AsyncVavaSMS(not made)"
        return f"AsyncVavaSMS(base_url={settings.base_url!r}, sender_id={settings.sender_id!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, and the ledger where it was opened here. May be called twice.

        What is being sent comes to its outcome before, which takes as long as its deadline; what waits for a
        connection is not sent. Cancelled, it waits no more.
        """
        self._transport.refuse()
        try:
            if self._keeper is not None:
                await self._keeper.aclose()
        finally:
            await self._transport.aclose()

    @hide_frames_async
    async def balance(self) -> Balance:
        """Return the credit (documentation: check/balance).

        Costs nothing and may be repeated; a failure is, twice.
        """
        return await endpoints.fetch_balance(self._transport)

    @hide_frames_async
    async def send(
        self,
        to: str | Iterable[str],
        message: str,
        *,
        sender_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Lot:
        """Send one text to one number or a few, in one request (documentation: text/single).

        Costs segments x numbers; a number given twice is sent to once. Not repeatable without a key: every
        error has an `outcome`, and only `safe_to_retry` ones may be sent again. Raises `InvalidInputError`
        before anything is sent, also for more numbers than the profile's `batch_size` where that is a limit:
        a gateway may drop those beyond it without a word. For more than some hundred numbers use `send_bulk`.

        With an `idempotency_key` (1 to 255 printable characters, unique per account; needs a `ledger`) it may
        be repeated at will, from any process, after any crash: what was accepted is returned again
        (`Lot.replayed`), what was rejected or not sent is sent, what is unknown raises `OutcomeUnknownError`
        until a person decides (`resolve`). Raises `IdempotencyConflictError` for a key that stands for
        something else, `SendInProgressError` where another call has no outcome in time, `LedgerError`, with
        nothing sent, where the ledger cannot be written.
        """
        sender = self._sender_id(sender_id)
        draft = draft_text(message, sender, username=self._settings.username)
        recipients = self._few_recipients(to)
        if self._keeper is None and idempotency_key is None:
            return await endpoints.send_text(self._transport, draft, recipients)
        return await self._sends.send_text(draft, recipients, (sender, message), idempotency_key)

    @hide_frames_async
    async def enqueue(
        self,
        to: str | Iterable[str],
        message: str,
        *,
        sender_id: str | None = None,
        idempotency_key: str | None = None,
        not_before: datetime | None = None,
    ) -> SendRecord:
        """Keep one text in the ledger: a worker (`vavasms worker`, `CampaignWorker`) sends it.

        Checked as `send` does it, and not sent by this call. May be repeated with its key: what stands under
        it is returned. `not_before` has a time zone. What was not sent is tried again, five times in all.
        """
        sender = self._sender_id(sender_id)
        draft_text(message, sender, username=self._settings.username)
        return await self._sends.enqueue(
            self._few_recipients(to), (sender, message), idempotency_key, not_before
        )

    @hide_frames_async
    async def sent(self, idempotency_key: str) -> SendRecord | None:
        """Return what the ledger has of a send; None where it knows no such key."""
        return await self._sends.find(idempotency_key)

    @hide_frames_async
    async def resolve(self, idempotency_key: str, *, sent: bool, note: str = "") -> SendRecord:
        """Decide on a send that is unknown, once somebody looked it up; return what it is now.

        `sent=True`: it is accepted. `sent=False`: nothing went out, and its key may be used anew. Raises
        `InvalidInputError` for a send that is not unknown, or a `sent` that is no bool.
        """
        return await self._sends.resolve(idempotency_key, sent=sent, note=note)

    @property
    def _sends(self) -> Sends:
        if self._keeper is None:
            raise misconfigured(_(_NO_LEDGER), "config.no_ledger")
        return self._keeper

    @property
    def _account_name(self) -> str:
        return name_account(self._settings.username, self._settings.base_url)

    @hide_frames_async
    async def delivery_reports(
        self, message_id: str, *, lot_id: str | None = None
    ) -> tuple[DeliveryReport, ...]:
        """Return how far a message came (documentation: delivery status).

        Costs nothing and may be repeated. The documentation lost the call's path: it is a setting.
        Raises `MessageNotFoundError` for an id that the gateway does not know (709), and `ConfigurationError`
        with nothing asked where the profile says that there is no such call.
        """
        path = self._settings.status_path
        return await endpoints.fetch_delivery_reports(self._transport, message_id, lot_id=lot_id, path=path)

    @hide_frames_async
    async def send_otp(
        self,
        to: str,
        *,
        length: int | None = None,
        valid_for: timedelta | None = None,
        template: str | None = None,
        sender_id: str | None = None,
        language: str | None = None,
        idempotency_key: str | None = None,
        client: str | None = None,
    ) -> OtpReceipt:
        """Send a one-time code that the gateway makes (documentation: otp/send).

        `length`: 4 to 9 digits (the gateway's default: 4). `valid_for`: whole minutes (60). `template`
        must hold `##OTP##`. `language`: `en` or `fr`, not documented. Costs the segments of the text.
        Not repeatable without an `idempotency_key`, like `send`; with one as `send` is: the first receipt is
        returned again (`OtpReceipt.replayed`).

        With `otp_limits` a code that is one too many raises `OtpLimitedError`, with nothing sent. `client` is
        the IP address of who asks for the code, and counts it for that caller. A code that was not accepted
        counts all the same, one that was not sent does not. Raises `LedgerError`, with nothing sent, where it
        cannot be counted.
        """
        options = {"length": length, "valid_for": valid_for, "template": template, "language": language}
        sender, recipient = self._sender_id(sender_id), self._recipient(to)
        request = build_send_otp(
            recipient,
            sender_id=sender,
            length=length,
            valid_for=valid_for,
            template=template,
            language=language,
            username=self._settings.username,
        )
        if self._otps is None:
            _need_none(idempotency_key, client)
            return await endpoints.send_otp(self._transport, request)
        draft = OtpDraft(
            request=request,
            recipient=recipient,
            sender_id=sender,
            options=options,
        )
        return await self._otps.send(draft, idempotency_key, client)

    @hide_frames_async
    async def verify_otp(self, to: str, code: str, *, sender_id: str | None = None) -> OtpVerification:
        """Verify a one-time code by the gateway (documentation: otp/verify).

        `code` is text, as a person typed it: blanks and hyphens are dropped, digits of every script are
        read. Uses up an attempt, so it is not repeated once it left. A wrong, expired or used code is no
        error but `OtpVerification(valid=False, …)`, and so is what can be no code
        (`OtpReason.MALFORMED`), of which the gateway is not asked.

        With `otp_limits` it raises `OtpLimitedError` once too many wrong ones were tried for the number,
        until a new code is sent: of that the gateway is not asked either.
        """
        recipient = parse_msisdn(to, default_region=self._region)
        call = partial(
            endpoints.verify_otp,
            self._transport,
            recipient,
            code,
            sender_id=self._settings.sender_id if sender_id is None else sender_id,
            username=self._settings.username,
        )
        # What can be no code is no try.
        if self._otps is None or parse_code(code) is None:
            return await call()
        return await self._otps.verify(recipient, call)

    @hide_frames_async
    async def send_bulk(
        self,
        recipients: Recipients,
        message: str,
        *,
        sender_id: str | None = None,
        batch_size: int | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        dedupe: bool = True,
        on_progress: OnProgress | None = None,
    ) -> BulkReport:
        """Send one text to any number of recipients, and account for each of them.

        `recipients` is read lazily; duplicates are sent to once, invalid ones reported. `rate` is in
        messages a second; `batch_size` is in numbers a request: None is the profile's, else 100, and a size
        that was merely tried does not lower it. Before the first of several batches the balance is read
        once, within 30 s: a bare 4xx, a redirect, 901, TLS or no connection there ends it with nothing sent,
        and the first bare 4xx of a batch ends the rest.

        Never raises for a batch's fate: read it in the report. An exception that ends it early (a
        cancellation, a fault of `recipients` itself) carries the account as `bulk_report`.
        """
        stream = self.stream_bulk(
            recipients,
            message,
            sender_id=sender_id,
            batch_size=batch_size,
            concurrency=concurrency,
            rate=rate,
            dedupe=dedupe,
            on_progress=on_progress,
        )
        return await Collector(stream).run()

    @hide_frames
    def stream_bulk(
        self,
        recipients: Recipients,
        message: str,
        *,
        sender_id: str | None = None,
        batch_size: int | None = None,
        concurrency: int = 16,
        rate: float | None = None,
        dedupe: bool = True,
        on_progress: OnProgress | None = None,
    ) -> BulkStream:
        """Send like `send_bulk`, with the results as they come: an async context manager to iterate over.

        Memory stays flat with `dedupe=False`. A slow consumer slows the sending. Leaving the block early
        starts no new batch and settles those in flight; `report` is true afterwards.
        """
        if batch_size is None:
            batch_size = self._profile.choose_batch_size(DEFAULT_BATCH_SIZE)
        options = BulkOptions(
            batch_size=batch_size, concurrency=concurrency, rate=rate, dedupe=dedupe, on_progress=on_progress
        )
        check_recipients(recipients)
        draft = draft_text(message, self._sender_id(sender_id), username=self._settings.username)
        return BulkStream(self._transport, draft, recipients, options, self._region)

    @property
    def account(self) -> Account:
        """What campaigns need of this client: `CampaignRunner(sms, ledger)` asks for it."""
        return Account(
            name=self._account_name,
            transport=self._transport,
            sender_id=self._settings.sender_id,
            region=self._region,
            status_path=self._settings.status_path,
            timeouts=self._timeouts,
            profile=self._profile,
        )

    def _sender_id(self, sender_id: str | None) -> str:
        if sender_id is None:
            sender_id = self._settings.sender_id
        if sender_id is None:
            raise misconfigured(no_sender_id(), "sender_id.missing")
        return sender_id

    def _recipient(self, text: str) -> Msisdn:
        try:
            return parse_msisdn(text, default_region=self._region)
        except InvalidNumberError as error:
            # A number that is read by itself is no send: only here something could have been sent.
            error.args = (_("{sentence}. Nothing was sent.", sentence=error.args[0]),)
            raise

    def _few_recipients(self, to: str | Iterable[str]) -> tuple[Msisdn, ...]:
        """Return the recipients of one request."""
        recipients, most = self._recipients(to), self._profile.most_recipients
        if most is not None and len(recipients) > most:
            raise _too_many(most)
        return recipients

    def _recipients(self, to: str | Iterable[str]) -> tuple[Msisdn, ...]:
        if isinstance(to, bytes) or not isinstance(to, Iterable):
            raise InvalidInputError(
                _("Give the recipient as a text, or several as a list; nothing was sent."),
                error_code="input.recipients",
            )
        texts = [to] if isinstance(to, str) else [*to]
        # A dict keeps the order and drops what was given twice.
        recipients = dict.fromkeys(
            read_wire(texts, default_region=self._region) or map(self._recipient, texts)
        )
        if not recipients:
            raise InvalidInputError(
                _("The list of recipients is empty; nothing was sent."), error_code="input.recipients"
            )
        return tuple(recipients)


def _too_many(most: int) -> InvalidInputError:
    return InvalidInputError(
        _(
            "A request takes at most {most} numbers, says the gateway's profile: use send_bulk, or a "
            "campaign. Nothing was sent.",
            most=most,
        ),
        error_code="input.too_many_recipients",
    )


def _need_none(key: str | None, client: str | None) -> None:
    if key is not None:
        raise misconfigured(_(_NO_LEDGER), "config.no_ledger")
    if client is not None:
        raise misconfigured(
            _("A caller is counted by limits: make the client with otp_limits=OtpLimits()."),
            "config.no_otp_limits",
        )
