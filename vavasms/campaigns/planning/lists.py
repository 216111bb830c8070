"""Which contacts a campaign is for, and how they are read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, TypedDict

from attrs import field, frozen
from attrs.converters import optional

from vavasms.arguments import NOTHING_SENT, check_flags
from vavasms.campaigns.planning.optout_link import parse_opt_out_url
from vavasms.campaigns.planning.where import Condition, parse_condition
from vavasms.errors import InvalidInputError
from vavasms.i18n import Argument
from vavasms.i18n import gettext as _
from vavasms.numbers import check_region

#: Larger is no sample and no seed.
_MOST = 10**18
_SAMPLE = Argument.make("sample=1000", "--sample 1000")


class ListingOptions(TypedDict, total=False):
    """How a list is read, as keywords: the fields of `Listing` tell what each means."""

    phone_column: str | None
    sheet: str | None
    encoding: str | None
    region: str | None
    repair: bool
    fold: bool
    where: str | Sequence[str]
    keep: str | Sequence[str]
    sample: int | None
    seed: int | None
    opt_out_url: str | None


def _to_source(contacts: str | Path | BinaryIO) -> Path | BinaryIO:
    return Path(contacts) if isinstance(contacts, str) else contacts


def _to_texts(texts: str | Iterable[str]) -> tuple[str, ...]:
    # What is no list of texts is taken for one text, and refused as such.
    is_one = isinstance(texts, str) or not isinstance(texts, Iterable)
    return (texts,) if is_one else tuple(texts)  # type: ignore[return-value]


def _to_conditions(where: str | Iterable[str]) -> tuple[Condition, ...]:
    return tuple(map(parse_condition, _to_texts(where)))


def _to_names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    return tuple(name for name in _to_texts(() if names is None else names) if name != "")


@frozen(kw_only=True)
class Listing:
    """Which contacts, and how they are read."""

    #: A file (CSV, XLSX), or a stream of one that can be read twice.
    contacts: Path | BinaryIO = field(repr=False, converter=_to_source)
    #: The column of the numbers; None: the one whose name says so.
    phone_column: str | None = None
    #: Of a spreadsheet; None: the first that holds anything.
    sheet: str | None = None
    #: Of a text; None: a mark, UTF-8, or cp1252 for each record that is no UTF-8.
    encoding: str | None = None
    #: The country of all numbers, where it is known: makes old eight-digit ones readable.
    region: str | None = field(default=None, converter=optional(check_region))
    #: The country of national numbers of the present plan.
    default_region: str = "CI"
    #: Take the new number in place of an old or spoiled one.
    repair: bool = False
    #: Make the texts GSM-7 where that keeps their sense.
    fold: bool = False
    #: What a row must hold to be read: see `parse_condition`. All of them.
    where: tuple[Condition, ...] = field(default=(), converter=_to_conditions)
    #: Columns whose cells are kept with each recipient, for the report.
    keep: tuple[str, ...] = field(default=(), converter=_to_names)
    #: Send to so many of the list, drawn by `seed`; the list is read twice for it. None: to all.
    sample: int | None = None
    #: The same seed draws the same of the same numbers, in whatever order. None: one is drawn, and the plan
    #: names it.
    seed: int | None = None
    #: Where the opt-out page is served, such as `https://sms.example.ci/d/`: `{desinscription}` in the
    #: message becomes this and ten characters of the recipient's own, and each message is a request.
    opt_out_url: str | None = field(default=None, converter=optional(parse_opt_out_url))

    def __attrs_post_init__(self) -> None:
        check_flags(NOTHING_SENT, repair=self.repair, fold=self.fold)
        _check_whole("sample", self.sample, least=1)
        _check_whole("seed", self.seed, least=0)
        if self.seed is not None and self.sample is None:
            raise InvalidInputError(
                _("A seed draws a sample: add {argument}. Nothing was sent.", argument=_SAMPLE),
                error_code="list.sample",
            )


def _check_whole(name: str, value: object, *, least: int) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST
    if value is not None and not is_whole:
        raise InvalidInputError(
            _(
                "{name} must be a whole number from {least} to {most}; nothing was sent.",
                name=name,
                least=least,
                most=_MOST,
            ),
            error_code="list.sample",
            argument=name,
        )
