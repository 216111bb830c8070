"""What a person typed into the form of a campaign, read as the API takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import fields, frozen

from vavasms.campaigns.moment import parse_moment
from vavasms.campaigns.planning.lists import ListingOptions
from vavasms.campaigns.policy import Policy, Window, parse_window
from vavasms.campaigns.window import parse_days
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.profile.models import UNKNOWN, GatewayProfile

#: The zone of the hours and of the beginning.
ZONE = "Africa/Abidjan"
#: What an error calls a field by the name of its argument in Python, or of its option.
FIELDS: Mapping[str, str] = {
    "--phone-column": N_("below, under “How the list is read”"),
    "--sheet": N_("the sheet"),
    "--encoding": N_("the encoding"),
    "--unit-price 12": N_("it below, under “Limits”"),
    "--budget 1000": N_("the budget"),
    "--opt-out-url https://sms.example.ci/d/": N_(
        "VAVASMS_OPT_OUT_URL to the settings, and open the desk again"
    ),
}
_BLANKS = re.compile(r"[\s\xa0\u202f]")
#: `1,000` is one thousand to an Englishman and one to a Frenchman.
_AMBIGUOUS = re.compile(r"[-+]?[0-9]{1,3}(?:[.,][0-9]{3})+")
#: Python reads more as numbers: `1e3`, `1_000`, `Infinity`.
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:[.,][0-9]{1,15})?")
_IVORIAN = "CI"


@frozen(kw_only=True)
class CampaignForm:
    """The form as it was typed; every field may be empty."""

    message: str = ""
    sender_id: str = ""
    fold: bool = False
    phone_column: str = ""
    sheet: str = ""
    encoding: str = ""
    repair: bool = False
    is_ivorian: bool = False
    exclude: tuple[str, ...] = ()
    unit_price: str = ""
    budget: str = ""
    balance_floor: str = ""
    rate: str = ""
    begins: str = ""
    opens: str = ""
    closes: str = ""
    days: str = ""
    daily_cap: str = ""
    #: Percent.
    min_delivery: str = ""

    @classmethod
    def read(cls, typed: Mapping[str, Sequence[str]]) -> CampaignForm:
        """Read the fields of a request; what is none of ours is passed over."""
        values: dict[str, object] = {}
        for field in fields(cls):
            texts = typed.get(field.name, ())
            if field.default is False:
                values[field.name] = bool(texts)
            elif field.default == ():
                values[field.name] = tuple(texts)
            else:
                # A browser ends lines in two characters, of which a phone pays one for nothing.
                values[field.name] = (texts[0] if texts else "").replace("\r\n", "\n")
        return cls(**values)  # type: ignore[arg-type]

    def reading(self) -> ListingOptions:
        """Return how the list is read."""
        return ListingOptions(
            phone_column=self.phone_column or None,
            sheet=self.sheet or None,
            encoding=self.encoding or None,
            region=_IVORIAN if self.is_ivorian else None,
            repair=self.repair,
            fold=self.fold,
        )

    def policy(self, *, now: float, profile: GatewayProfile = UNKNOWN) -> Policy:
        """Return the limits; a price that nobody typed is the profile's.

        Raises `InvalidInputError` where one makes no sense.
        """
        return Policy(
            rate=_read_float(_("Messages a second"), self.rate),
            window=self._window(),
            not_before=parse_moment(self.begins, now=now, tz=ZONE) if self.begins.strip() else None,
            unit_price=self.price(profile),
            budget=read_amount(_("Budget"), self.budget),
            balance_floor=read_amount(_("What must stay on the account"), self.balance_floor),
            daily_cap=_read_whole(_("Messages a person in 24 hours"), self.daily_cap),
            min_delivery=read_percent(_("Share that must arrive"), self.min_delivery),
        )

    def price(self, profile: GatewayProfile) -> Decimal | None:
        """Return the price of a segment: what was typed, else the profile's."""
        price = read_amount(_("Price of one SMS"), self.unit_price)
        return profile.highest_price if price is None else price

    def _window(self) -> Window | None:
        if not (self.opens or self.closes or self.days):
            return None
        hours = f"{self.opens or '00:00'}-{self.closes or '24:00'}"
        return parse_window(hours, tz=ZONE, days=parse_days(self.days) if self.days else None)


def read_amount(name: str, text: str) -> Decimal | None:
    """Read an amount as people write it here: `50 000`, `12,5`; None where nothing stands there.

    Raises `InvalidInputError` for another text, and for one that two people read as different amounts.
    """
    plain = _BLANKS.sub("", text)
    if not plain:
        return None
    if _AMBIGUOUS.fullmatch(plain):
        raise _refused(
            _(
                "{name}: {text} may be read in two ways. Write thousands with blanks or with nothing between "
                "them. Nothing was sent.",
                name=name,
                text=repr(text[:40]),
            )
        )
    if _NUMBER.fullmatch(plain):
        return Decimal(plain.replace(",", "."))
    raise _refused(_("{name}: {text} is no number. Nothing was sent.", name=name, text=repr(text[:40])))


def read_percent(name: str, text: str) -> Decimal | None:
    """Read `80` or `80 %` as 0.8."""
    amount = read_amount(name, text.replace("%", ""))
    return None if amount is None else amount / 100


def _read_float(name: str, text: str) -> float | None:
    amount = read_amount(name, text)
    return None if amount is None else float(amount)


def _read_whole(name: str, text: str) -> int | None:
    amount = read_amount(name, text)
    if amount is None or amount == amount.to_integral_value():
        return None if amount is None else int(amount)
    raise _refused(_("{name}: {text} is no whole number. Nothing was sent.", name=name, text=repr(text[:40])))


def read_count(text: str) -> int | None:
    """Read a number of recipients that a person typed; None for what is none."""
    plain = _BLANKS.sub("", text)
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else None


def _refused(sentence: str) -> InvalidInputError:
    return InvalidInputError(sentence, error_code="desk.form")
