"""The gateway's state: a second, independent reading of the vendor's documentation. Pure, no I/O.

Whatever the documentation leaves open is the sandbox's own choice, and is called so where it is made.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from vavasms.sandbox import replies
from vavasms.sandbox.delivery import DeliveryPlan
from vavasms.sandbox.journal import Entry, Journal, Kind
from vavasms.sandbox.magic import MAGIC_NUMBERS, MagicNumber, find_magic
from vavasms.sandbox.otps import OtpBook, OtpVerdict
from vavasms.sandbox.replies import Answer, RefusedError, refusal
from vavasms.sandbox.rules import GatewayRules, Turnstile
from vavasms.text.segments import Encoding, Segmentation, count_segments

BALANCE, TEXT, OTP_SEND, OTP_VERIFY = "/v1/check/balance", "/v1/text/single", "/v1/otp/send", "/v1/otp/verify"
DEFAULT_MESSAGE = "Votre code OTP est : ##OTP##"

_TAG = "##OTP##"
# Of those that nobody has shown.
_MAGIC_KEPT = 100
#: So many stand on the page.
_MAGIC_SHOWN = 3
_SENDER_ID = re.compile(r"[0-9A-Za-z]{3,11}")
# E.164 stops at 15 digits; where a number is too short is not documented.
_PHONE = r"\+?[1-9][0-9]{7,14}"
_ONE = re.compile(_PHONE)
_SEVERAL = re.compile(rf"{_PHONE}(?:,{_PHONE})*")

_VERDICTS = {OtpVerdict.INVALID: 913, OtpVerdict.EXPIRED: 914, OtpVerdict.NOT_FOUND: 915}
_STATUS_WORDS = {"pending": "En attente", "sent": "Envoyé", "delivered": "Délivré", "failed": "Échec"}


class Gateway:
    """A stand-in that answers the five calls from memory; safe between threads.

    `sender_ids=None` takes any ID of 3 to 11 letters and digits; the username is always one. `balance` and
    `price` (of one segment to one recipient) are XOF. `clock` gives seconds since the epoch; `sent_after` and
    `delivered_after` are the ages in seconds at which a delivery status moves from `pending` to `sent` to
    `delivered`, or to `failed` for the share of the numbers that `failing` has by their first digits.
    `reports_lots` has a status call answer for the whole lot. `error_status` is the HTTP status of error
    envelopes: not documented. `rules` are its choices where the documentation is silent. `below(n)` draws
    the codes, as `secrets.randbelow` does; `otp_attempts` bounds the wrong ones.
    """

    def __init__(
        self,
        *,
        username: str = "sandbox@example.com",
        password: str = "sandbox",  # noqa: S107 - guards nothing: a stand-in on loopback
        sender_ids: Iterable[str] | None = ("SANDBOX", "ACME"),
        balance: Decimal | int = 1_000_000,
        price: Decimal | int = 10,
        clock: Callable[[], float] = time.time,
        status_path: str = TEXT,
        sent_after: float = 2.0,
        delivered_after: float = 10.0,
        failing: Mapping[str, float] | None = None,
        reports_lots: bool = False,
        error_status: int = 200,
        below: Callable[[int], int] = secrets.randbelow,
        otp_attempts: int = 5,
        rules: GatewayRules | None = None,
    ) -> None:
        self.username = username
        self.password = password
        #: Takes whatever account a request names.
        self.any_credentials = False
        self._magic: deque[MagicNumber] = deque(maxlen=_MAGIC_KEPT)
        #: The magic numbers that requests named last, newest first.
        self.recent_magic: deque[MagicNumber] = deque(maxlen=_MAGIC_SHOWN)
        self.sender_ids = None if sender_ids is None else frozenset(sender_ids)
        self.price = Decimal(price)
        self.journal = Journal()
        self._balance = Decimal(balance)
        self._clock = clock
        self._status_path = status_path
        self.rules = GatewayRules() if rules is None else rules
        self._turnstile = Turnstile(self.rules.requests_per_second)
        self.delivery = DeliveryPlan(sent_after, delivered_after, failing or {}, self.rules.statuses)
        self._reports_lots = reports_lots
        self._error_status = error_status
        self._otps = OtpBook(below=below, attempts=otp_attempts)
        self._lock = threading.RLock()
        self._sequence = 0
        self._lots = 1_000_000
        self._next_id = 1_000_001
        self._calls = {
            BALANCE: self._check_balance,
            TEXT: self._send_text,
            OTP_SEND: self._send_otp,
            OTP_VERIFY: self._verify_otp,
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths that it answers at."""
        status = {self._status_path: self._report} if self.rules.has_status_call else {}
        return tuple({**self._calls, **status})

    @property
    def balance(self) -> Decimal:
        """Return the credit, in XOF."""
        return self._balance

    def set_balance(self, amount: Decimal | int) -> None:
        """Set the credit, in XOF."""
        with self._lock:
            self._balance = Decimal(amount)
        self.journal.signal.emit()

    def refill(self, amount: Decimal | int) -> None:
        """Add to the credit, in XOF."""
        with self._lock:
            self.set_balance(self._balance + amount)

    def client_settings(self, base_url: str) -> dict[str, str]:
        """Return the settings by which a client reaches the gateway at `base_url`."""
        names = self.sender_ids or {"SANDBOX"}
        return {
            "VAVASMS_BASE_URL": base_url,
            "VAVASMS_USERNAME": self.username,
            "VAVASMS_PASSWORD": self.password,
            "VAVASMS_SENDER_ID": "SANDBOX" if "SANDBOX" in names else min(names),
        }

    def now(self) -> float:
        """Return the time of the gateway's clock (seconds)."""
        return self._clock()

    def note_magic(self, magic: MagicNumber) -> None:
        """Keep in mind that a request named a magic number, for whoever shows what comes."""
        self._magic.append(magic)
        self.recent_magic.appendleft(magic)
        self.journal.signal.emit()

    def take_magic(self) -> Iterator[MagicNumber]:
        """Take the magic numbers that requests have named since, oldest first."""
        while self._magic:
            yield self._magic.popleft()

    def latest_otp(self, phone: str) -> str | None:
        """Return the last code sent to `phone` (with or without `+`), used or not."""
        with self._lock:
            return self._otps.latest(phone.removeprefix("+"))

    def status_of(self, message_id: str) -> str | None:
        """Return the delivery status of a message now: None where the gateway knows no such message."""
        position = self.journal.find(message_id)
        return None if position is None else self._status(*position)

    def handle(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Answer one call; `path` is without `/api`."""
        with self._lock:
            if not self._turnstile.admits(self._clock()):
                return replies.TOO_FAST
            call = self._call(path, fields)
            if call is None:
                return replies.NOT_FOUND
            try:
                self._check_credentials(fields)
                return call(fields)
            except RefusedError as error:
                return refusal(error.code, balance=path == BALANCE, http_status=self._error_status)

    def _call(self, path: str, fields: Mapping[str, str]) -> Callable[[Mapping[str, str]], Answer] | None:
        """Choose the call.

        A `message_id` without phone and message asks for a status, as the vendor's Node client does.
        """
        asks = (
            self.rules.has_status_call
            and "message_id" in fields
            and not fields.get("phone")
            and not fields.get("message")
        )
        if path == self._status_path and (asks or path != TEXT) and self.rules.has_status_call:
            return self._report
        return self._calls.get(path)

    def _check_credentials(self, fields: Mapping[str, str]) -> None:
        username, password = fields.get("username"), fields.get("password")
        is_named = bool(username and password) and self.any_credentials
        if not is_named and (username, password) != (self.username, self.password):
            raise RefusedError(901)

    def _check_sender_id(self, fields: Mapping[str, str]) -> str:
        """Take the account's own name, "by default your SENDER_ID", or one that was made for it."""
        sender_id = fields.get("sender_id", "")
        known = self.sender_ids is None or sender_id in self.sender_ids
        if sender_id != fields["username"] and not (known and _SENDER_ID.fullmatch(sender_id)):
            raise RefusedError(902)
        return sender_id

    def _check_phones(self, phones: str, shape: re.Pattern[str]) -> str:
        """Refuse all of a request for one malformed number.

        What the vendor does with the others is not documented.
        """
        if not shape.fullmatch(phones):
            raise RefusedError(903)
        magic = find_magic(phones)
        if magic is not None and magic.code is not None:
            raise RefusedError(magic.code)
        return phones.replace("+", "")

    def _check_balance(self, _fields: Mapping[str, str]) -> Answer:
        whole = self._balance == self._balance.to_integral_value()
        amount = int(self._balance) if whole else float(self._balance)
        return replies.success({"amount": amount, "currency": "XOF"})

    def _send_text(self, fields: Mapping[str, str]) -> Answer:
        sender_id = self._check_sender_id(fields)
        to, is_short = self._admit(fields.get("phone", ""))
        message = fields.get("message", "")
        if not message:
            raise RefusedError(904)
        entry = self._accept(Kind.TEXT, sender_id, to, message)
        if is_short:
            # Too late for those that are sent to.
            raise RefusedError(903)
        lot = {"lot_id": entry.lot_id, "description": "Message envoyé avec succès"}
        return replies.success({**lot, "message_id": entry.message_ids})

    def _admit(self, phones: str) -> tuple[str, bool]:
        """Return the recipients that are sent to, and whether some are not for being no numbers."""
        if self.rules.counts_first:
            phones = self._limit(phones)
        if self.rules.lots_are_atomic or "," not in phones:
            return self._limit(self._check_phones(phones, _SEVERAL)), False
        given = phones.split(",")
        good = [phone for phone in given if self._is_good(phone)]
        if not good:
            raise RefusedError(903)
        return self._limit(",".join(good).replace("+", "")), len(good) < len(given)

    def _limit(self, phones: str) -> str:
        """Return as many recipients as one request takes, or refuse them all."""
        most = self.rules.max_recipients
        if most is None or phones.count(",") < most:
            return phones
        if not self.rules.drops_recipients:
            raise RefusedError(921)
        return ",".join(phones.split(",", most)[:most])

    def _is_good(self, phone: str) -> bool:
        magic = find_magic(phone)
        return bool(_ONE.fullmatch(phone)) and not (magic is not None and magic.code == 903)

    def _accept(self, kind: Kind, sender_id: str, to: str, message: str, *, otp: str = "") -> Entry:
        """Charge and journal a message; there is no way back from here."""
        counted, recipients = count_segments(message), to.count(",") + 1
        segments = counted.segments
        cost = self._price_of(counted) * recipients
        if cost > self._balance:
            raise RefusedError(920)
        now = self._clock()
        day = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
        self._sequence += 1
        entry = Entry(
            sequence=self._sequence,
            time=now,
            kind=kind,
            lot_id=f"LOT-{day}-{self._lots + self._sequence}" if kind is Kind.TEXT else "",
            sender_id=sender_id,
            to=to,
            message=message,
            segments=segments,
            cost=cost,
            day=day,
            first_id=self._next_id,
            otp=otp,
        )
        self._balance -= cost
        self._next_id += recipients
        self.journal.add(entry)
        return entry

    def _price_of(self, counted: Segmentation) -> Decimal:
        """Return the price of a text to one recipient."""
        other = self.rules.price_ucs2 if counted.encoding is Encoding.UCS2 else None
        price = self.price if other is None else other
        return price * (counted.segments if self.rules.price_is_per_segment else 1)

    def _report(self, fields: Mapping[str, str]) -> Answer:
        """Report one message, or all of its lot; a `lot_id` that is not its own names no message.

        The documentation shows a list of one, and does not say when there are more.
        """
        entry, index = self.journal.find(fields.get("message_id", "")) or (None, 0)
        status = None if entry is None else self._status(entry, index)
        if entry is None or status is None or fields.get("lot_id") not in {None, "", entry.lot_id}:
            raise RefusedError(709)
        others = range(entry.recipients) if self._reports_lots else (index,)
        reports = [self._report_line(entry, each) for each in others]
        return replies.success([line for line in reports if line is not None])

    def _report_line(self, entry: Entry, index: int) -> dict[str, str] | None:
        status = self._status(entry, index)
        if status is None:
            return None
        line = {"lot_id": entry.lot_id, "message_id": entry.message_id(index), "status": status}
        return line | {"description": _STATUS_WORDS.get(status, status)}

    def _status(self, entry: Entry, index: int) -> str | None:
        return self.delivery.status(entry.phone(index), self._clock() - entry.time)

    def _send_otp(self, fields: Mapping[str, str]) -> Answer:
        sender_id = self._check_sender_id(fields)
        to = self._check_phones(fields.get("phone", ""), _ONE)
        length = _number(fields.get("otp_length") or "4", 4, 9, code=905)
        minutes = _number(fields.get("otp_expiry") or "60", 1, 10**6, code=906)
        template = fields.get("message") or DEFAULT_MESSAGE
        if _TAG not in template:
            raise RefusedError(907)
        code = self._otps.draw(length)
        message = template.replace(_TAG, code)
        entry = self._accept(Kind.OTP, sender_id, to, message, otp=code)
        self._otps.keep(to, code, message_id=entry.message_id(0), expires=entry.time + 60 * minutes)
        return replies.success({"message_id": entry.message_id(0), "description": "OTP envoyé avec succès"})

    def _verify_otp(self, fields: Mapping[str, str]) -> Answer:
        # The table of this call does not name a sender ID, each of its samples sends one: it may be left out.
        if fields.get("sender_id"):
            self._check_sender_id(fields)
        to = self._check_phones(fields.get("phone", ""), _ONE)
        magic = MAGIC_NUMBERS.get(to)
        if magic is not None and magic.otp_code is not None:
            raise RefusedError(magic.otp_code)
        verdict, message_id = self._otps.verify(to, fields.get("otp", ""), now=self._clock())
        if verdict is not OtpVerdict.SUCCESS:
            raise RefusedError(_VERDICTS[verdict])
        return replies.success({"message_id": message_id, "status": verdict.value})


def _number(text: str, least: int, most: int, *, code: int) -> int:
    """Read a whole number within bounds, or refuse the request by `code`."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise RefusedError(code)
    return int(text)
