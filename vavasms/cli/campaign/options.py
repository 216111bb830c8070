"""The options of `campaign plan` and `campaign run`, and what they mean to a campaign."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, BinaryIO, TypedDict

from attrs import evolve, fields, frozen
from cyclopts import Parameter

from vavasms.campaigns.policy import Policy, parse_window
from vavasms.cli import show
from vavasms.cli.ledgers import find_ledger
from vavasms.cli.message_input import MessageFile, read_message, uses_stdin
from vavasms.cli.options import PhoneColumn, SenderId, SheetName, TextEncoding
from vavasms.config import misconfigured
from vavasms.errors import InvalidInputError
from vavasms.storage.places import Place

Contacts = Annotated[
    str,
    Parameter(
        help="CSV, XLSX, or one number a line; `-` is standard input.",
        show_default=False,
        allow_leading_hyphen=True,
    ),
]

Detach = Annotated[
    bool, Parameter(negative=(), show_default=False, help="Leave it to workers (PostgreSQL only).")
]


class Reading(TypedDict):
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
        Parameter(
            metavar="TEXT",
            help="The text; {prenom|cher client} is a column and what stands for an empty cell. "
            "`-` is standard input.",
            show_default=False,
            allow_leading_hyphen=True,
        ),
    ] = None
    message_file: MessageFile = None
    phone_column: PhoneColumn = None
    sheet: SheetName = None
    encoding: TextEncoding = None
    region: Annotated[
        str | None,
        Parameter(
            metavar="CC", help="The country of all numbers, such as CI: makes old 8-digit ones readable."
        ),
    ] = None
    repair: Annotated[
        bool,
        Parameter(
            negative=(), show_default=False, help="Take the new number in place of an old or spoiled one."
        ),
    ] = False
    fold: Annotated[
        bool,
        Parameter(
            negative=(), show_default=False, help="Spell the texts without the letters that cost (ê as e)."
        ),
    ] = False
    unit_price: Annotated[
        Decimal | None, Parameter(metavar="XOF", help="What one segment costs: the gateway does not tell.")
    ] = None
    batch_size: Annotated[int, Parameter(metavar="N", help="Numbers a request.")] = 100
    concurrency: Annotated[int, Parameter(metavar="N", help="Requests under way at once.")] = 16
    rate: Annotated[float | None, Parameter(metavar="N", help="Messages a second, at most.")] = None
    window: Annotated[
        str | None, Parameter(metavar="HH:MM-HH:MM", help="The hours in which messages may leave.")
    ] = None
    tz: Annotated[str, Parameter(metavar="ZONE", help="The time zone of these hours.")] = "Africa/Abidjan"

    def policy(self) -> Policy:
        """Give the limits. Raises `InvalidInputError` where one makes no sense."""
        return _by_option(
            lambda: Policy(
                rate=self.rate,
                window=None if self.window is None else parse_window(self.window, tz=self.tz),
                unit_price=self.unit_price,
                batch_size=self.batch_size,
                concurrency=self.concurrency,
            )
        )

    def reading(self) -> Reading:
        """Give how the list is read."""
        return Reading(
            phone_column=self.phone_column,
            sheet=self.sheet,
            encoding=self.encoding,
            region=self.region,
            repair=self.repair,
            fold=self.fold,
        )


@Parameter(name="*")
@frozen(kw_only=True)
class RunOptions(PlanOptions):
    """The same, with what a campaign may spend and how it is begun."""

    sender_id: SenderId = None
    budget: Annotated[
        Decimal | None, Parameter(metavar="XOF", help="What the campaign may cost; it pauses before more.")
    ] = None
    balance_floor: Annotated[
        Decimal | None, Parameter(metavar="XOF", help="What must stay on the account; it pauses there.")
    ] = None
    daily_cap: Annotated[
        int | None, Parameter(metavar="N", help="Messages a recipient may have in 24 hours, all campaigns.")
    ] = None
    expect: Annotated[
        str | None, Parameter(name="--plan", metavar="HASH", help="Refuse if the plan is no longer this one.")
    ] = None
    test_to: Annotated[
        str | None, Parameter(metavar="NUMBER", help="Send the first text to your own phone before asking.")
    ] = None
    again: Annotated[
        bool,
        Parameter(negative=(), show_default=False, help="Send the very same a second time, on purpose."),
    ] = False
    detach: Detach = False
    yes: Annotated[bool, Parameter(negative=(), show_default=False, help="Do not ask.")] = False

    def policy(self) -> Policy:
        """Give the limits. Raises `InvalidInputError` where one makes no sense."""
        # attrs made a class of its own: the short `super()` is another's.
        plain = PlanOptions.policy(self)
        return _by_option(
            lambda: evolve(
                plain, budget=self.budget, balance_floor=self.balance_floor, daily_cap=self.daily_cap
            )
        )


def _by_option(make: Callable[[], Policy]) -> Policy:
    """Make a policy; where it refuses, name the option for the argument."""
    try:
        return make()
    except InvalidInputError as error:
        name, _, rest = str(error).partition(" ")
    is_argument = name in {each.name for each in fields(Policy)}
    shown = f"--{name.replace('_', '-')}" if is_argument else name
    raise InvalidInputError(f"{shown} {rest.replace('a Decimal', 'an amount')}")


def read_campaign_text(options: PlanOptions, contacts: str) -> str:
    """Return the message. Raises `InvalidInputError` where the list comes from standard input as well."""
    if contacts == "-" and uses_stdin(options.message, options.message_file):
        raise InvalidInputError("Standard input holds the list or the text, not both. Nothing was sent.")
    return read_message(options.message, options.message_file)


def open_contacts(contacts: str) -> Path | BinaryIO:
    """Give the list to read; `-` is standard input."""
    if contacts != "-":
        return Path(contacts)
    if sys.stdin is None:
        raise InvalidInputError("There is no standard input: name a file. Nothing was sent.")
    if sys.stdin.isatty():
        show.warn("Type one number a line, and Ctrl-D at the end.")
    return sys.stdin.buffer


def find_place(ledger: str | None, *, detach: bool) -> Place:
    """Settle the place of the ledger. Raises `ConfigurationError` for a file that workers were to share."""
    place = find_ledger(ledger)
    if detach and isinstance(place, Path):
        raise misconfigured(
            "--detach needs workers, and they need a ledger in PostgreSQL: --ledger postgresql://…"
        )
    return place
