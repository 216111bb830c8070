"""The options of `campaign plan` and `campaign run`, and what they mean to a campaign."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypedDict

from attrs import evolve, frozen
from cyclopts import Parameter

from vavasms.campaigns.policy import Policy, parse_window
from vavasms.cli.ledger_option import find_ledger
from vavasms.cli.message_input import MessageFile, read_message, uses_stdin
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
from vavasms.storage.location import Place

Detach = Annotated[bool, flag(_("Leave it to workers (PostgreSQL only)."))]


class ContactOptions(TypedDict):
    """How a list is read."""

    phone_column: str | None
    sheet: str | None
    encoding: str | None
    region: str | None
    repair: bool
    fold: bool


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
    unit_price: Annotated[
        Decimal | None, Parameter(metavar="XOF", help=_("What one segment costs: the gateway does not tell."))
    ] = None
    batch_size: Annotated[int, Parameter(metavar="N", help=_("Numbers a request."))] = 100
    concurrency: Annotated[int, Parameter(metavar="N", help=_("Requests under way at once."))] = 16
    rate: Annotated[float | None, Parameter(metavar="N", help=_("Messages a second, at most."))] = None
    window: Annotated[
        str | None, Parameter(metavar="HH:MM-HH:MM", help=_("The hours in which messages may leave."))
    ] = None
    tz: Annotated[str, Parameter(metavar=_("ZONE"), help=_("The time zone of these hours."))] = (
        "Africa/Abidjan"
    )

    def policy(self) -> Policy:
        """Return the limits. Raises `InvalidInputError` where one makes no sense."""
        return Policy(
            rate=self.rate,
            window=None if self.window is None else parse_window(self.window, tz=self.tz),
            unit_price=self.unit_price,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
        )

    def reading(self) -> ContactOptions:
        """Return how the list is read."""
        return ContactOptions(
            phone_column=self.phone_column,
            sheet=self.sheet,
            encoding=self.encoding,
            region=None if self.region is None else check_region(self.region),
            repair=self.repair,
            fold=self.fold,
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
    expect: Annotated[
        str | None,
        Parameter(name="--plan", metavar=_("HASH"), help=_("Refuse if the plan is no longer this one.")),
    ] = None
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
        return evolve(plain, budget=self.budget, balance_floor=self.balance_floor, daily_cap=self.daily_cap)


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
