"""The options of `campaign plan` and `campaign run`, and what they mean to a campaign."""

from __future__ import annotations

import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

from attrs import evolve, frozen
from cyclopts import Parameter

from vavasms.campaigns.moment import parse_moment
from vavasms.campaigns.planning.lists import ListingOptions
from vavasms.campaigns.policy import Policy, Window, parse_window
from vavasms.campaigns.window import parse_days, parse_holidays
from vavasms.cli import settings
from vavasms.cli.ledger_option import find_ledger
from vavasms.cli.message_input import MessageFile, read_file, read_message, uses_stdin
from vavasms.cli.params import (
    PhoneColumn,
    Region,
    Repair,
    SenderId,
    SheetName,
    TextEncoding,
    Yes,
    flag,
    text_option,
)
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.numbers import check_region
from vavasms.profile.file import find_profile
from vavasms.storage.location import Place

DEFAULT_ZONE = "Africa/Abidjan"
StartMoment = Annotated[
    str | None,
    Parameter(metavar=_("MOMENT"), help=_("Nothing leaves before then: 2026-12-01T09:00, 09:00 or +2h.")),
]
ExpectedPlan = Annotated[
    str | None,
    Parameter(name="--plan", metavar=_("HASH"), help=_("Refuse if the plan is no longer this one.")),
]
Detach = Annotated[bool, flag(_("Leave it to workers (PostgreSQL only)."))]


@Parameter(name="*")
@frozen(kw_only=True)
class PlanOptions:
    """What decides whom a campaign reaches, what it costs and how long it takes."""

    message: Annotated[
        str | None,
        text_option(
            _(
                "The text; {prenom|cher client} is a column and what stands for an empty cell. "
                "`-` is standard input."
            )
        ),
    ] = None
    message_file: MessageFile = None
    phone_column: PhoneColumn = None
    sheet: SheetName = None
    encoding: TextEncoding = None
    region: Region = None
    repair: Repair = False
    fold: Annotated[bool, flag(_("Spell the texts without the letters that cost (ê as e)."))] = False
    opt_out_url: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            show_default=False,
            help=_(
                "The page that `vavasms optouts serve` serves: {desinscription} in the text becomes the "
                "recipient's link to it [VAVASMS_OPT_OUT_URL]."
            ),
        ),
    ] = None
    where: Annotated[
        tuple[str, ...],
        Parameter(
            metavar=_("CONDITION"),
            show_default=False,
            negative=(),
            help=_(
                "Only the rows that hold this, such as ville=Bouaké; with =, !=, <, <=, >, >=, or ~ for "
                "contains. Repeat it for more."
            ),
        ),
    ] = ()
    keep: Annotated[
        tuple[str, ...],
        Parameter(
            metavar=_("COLUMNS"),
            show_default=False,
            negative=(),
            help=_("Columns whose cells are kept with each recipient, for the report: nom,ref."),
        ),
    ] = ()
    exclude_campaign: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="ID",
            show_default=False,
            negative=(),
            help=_("Leave out who has this campaign's message, or may have it. Repeat it for more."),
        ),
    ] = ()
    sample: Annotated[
        int | None, Parameter(metavar="N", help=_("Send to N of the list, drawn at random."))
    ] = None
    seed: Annotated[
        int | None, Parameter(metavar="N", help=_("Draw the same again: the plan names the seed."))
    ] = None
    unit_price: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What one segment costs: the gateway does not tell."))
    ] = None
    batch_size: Annotated[
        int | None,
        Parameter(
            metavar="N",
            help=_("Numbers a request; else what [VAVASMS_PROFILE] says, or 100."),
        ),
    ] = None
    concurrency: Annotated[int, Parameter(metavar="N", help=_("Requests under way at once."))] = 16
    rate: Annotated[float | None, Parameter(metavar="N", help=_("Messages a second, at most."))] = None
    at: StartMoment = None
    hours: Annotated[
        str | None,
        Parameter(
            metavar="HH:MM-HH:MM",
            help=_("The hours in which messages may leave; marketing-ci is 08:00-19:00 in Abidjan, mon-sat."),
        ),
    ] = None
    days: Annotated[
        str | None,
        Parameter(metavar=_("DAYS"), help=_("The days on which messages may leave, such as mon-sat.")),
    ] = None
    holidays: Annotated[
        Path | None,
        Parameter(
            metavar=_("FILE"),
            help=_("Days on which nothing leaves, one a line: 2026-12-25, or 12-25 of each year."),
        ),
    ] = None
    tz: Annotated[str, Parameter(metavar=_("ZONE"), help=_("The time zone of all of these."))] = DEFAULT_ZONE

    def policy(self) -> Policy:
        """Return the limits. Raises `InvalidInputError` where one makes no sense."""
        profile = find_profile(settings.find_setting("VAVASMS_PROFILE"))
        limits = Policy(
            rate=self.rate,
            window=self._window(),
            not_before=None if self.at is None else parse_moment(self.at, now=time.time(), tz=self.tz),
            unit_price=self.unit_price,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
        )
        return limits.settle(profile)

    def _window(self) -> Window | None:
        if self.hours is None and self.days is None and self.holidays is None:
            return None
        return parse_window(
            self.hours or "00:00-24:00",
            tz=self.tz,
            days=None if self.days is None else parse_days(self.days),
            holidays=() if self.holidays is None else parse_holidays(read_file(self.holidays, "--holidays")),
        )

    def reading(self) -> ListingOptions:
        """Return how the list is read."""
        return ListingOptions(
            phone_column=self.phone_column,
            sheet=self.sheet,
            encoding=self.encoding,
            region=None if self.region is None else check_region(self.region),
            repair=self.repair,
            fold=self.fold,
            where=self.where,
            keep=[name.strip() for names in self.keep for name in names.split(",")],
            sample=self.sample,
            seed=self.seed,
            opt_out_url=self.opt_out_url or settings.find_setting("VAVASMS_OPT_OUT_URL"),
        )


@Parameter(name="*")
@frozen(kw_only=True)
class RunOptions(PlanOptions):
    """The same, with what a campaign may spend and how it is begun."""

    sender_id: SenderId = None
    budget: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What the campaign may cost; it pauses before more."))
    ] = None
    balance_floor: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What must stay on the account; it pauses there."))
    ] = None
    daily_cap: Annotated[
        int | None,
        Parameter(metavar="N", help=_("Messages a recipient may have in 24 hours, all campaigns.")),
    ] = None
    min_delivery: Annotated[
        str | None,
        Parameter(
            metavar=_("SHARE"),
            help=_("The share that must be delivered, such as 80%, from a thousand on; it pauses below."),
        ),
    ] = None
    track: Annotated[
        bool | None,
        Parameter(
            show_default=False,
            help=_(
                "Stay until all delivery reports are final, 72 hours at most; --no-track asks for none. "
                "Without either they are asked for beside the sending."
            ),
        ),
    ] = None
    expect: ExpectedPlan = None
    test_to: Annotated[
        str | None,
        Parameter(metavar=_("NUMBER"), help=_("Send the first text to your own phone before asking.")),
    ] = None
    again: Annotated[bool, flag(_("Send the very same a second time, on purpose."))] = False
    detach: Detach = False
    yes: Yes = False

    def policy(self) -> Policy:
        """Return the limits. Raises `InvalidInputError` where one makes no sense."""
        # attrs made a class of its own: the short `super()` is another's.
        plain = PlanOptions.policy(self)
        return evolve(
            plain,
            budget=self.budget,
            balance_floor=self.balance_floor,
            daily_cap=self.daily_cap,
            min_delivery=None if self.min_delivery is None else parse_share(self.min_delivery),
            track=self.track is not False,
        )


def parse_share(text: str) -> Decimal:
    """Read a share of messages, `80%` or `0.8`. Raises `InvalidInputError`."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = Decimal(number.strip())
    except InvalidOperation:
        share = Decimal("NaN")
    if rest or not share.is_finite():
        raise InvalidInputError(
            _(
                "--min-delivery takes a share: 0.8 or 80%, not {text}. Nothing was sent.",
                text=repr(text),
            ),
            error_code="usage.value",
        )
    return share / 100 if percent else share


def read_campaign_text(options: PlanOptions, contacts: str) -> str:
    """Return the message. Raises `InvalidInputError` where the list comes from standard input as well."""
    if contacts == "-" and uses_stdin(options.message, options.message_file):
        raise InvalidInputError(
            _("Standard input holds the list or the text, not both. Nothing was sent."),
            error_code="usage.standard_input",
        )
    return read_message(options.message, options.message_file)


def find_place(ledger: str | None, *, detach: bool) -> Place:
    """Return the place of the ledger. Raises `ConfigurationError` for a file that workers were to share."""
    place = find_ledger(ledger)
    if detach and isinstance(place, Path):
        raise misconfigured(
            _("--detach needs workers, and they need a ledger in PostgreSQL: --ledger postgresql://…"),
            "config.postgresql",
        )
    return place
