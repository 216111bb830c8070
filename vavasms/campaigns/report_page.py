"""The report of a campaign as one page of HTML: no script, no network, fit for paper.

Needs the extra: `pip install "vavasms[report]"`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache

from attrs import frozen
from jinja2 import Environment
from markupsafe import Markup

from vavasms.campaigns.prefixes import name_country
from vavasms.campaigns.report import write_number
from vavasms.campaigns.summary import CampaignSummary, PrefixDeliveries
from vavasms.i18n import Sentence, current_language, format_moment, format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.ledger.kept import say_error, say_reason
from vavasms.ledger.rows import in_a_state
from vavasms.ledger.states import CampaignState
from vavasms.version import __version__
from vavasms.web.templates import make_environment

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: Letters that cost, shown at most.
_SHOWN = 12
#: The tops of charts, in tenths of a power of ten; so few messages are a top of their own.
_STEPS, _FEW = (10, 15, 20, 30, 40, 50, 60, 80, 100), 10


@frozen(kw_only=True)
class Bar:
    """A part of a chart; where it begins and how long it is, in hundredths of the chart."""

    #: What it stands for, which its colour shows.
    kind: str
    begins: float = 0.0
    size: float
    label: str


@frozen(kw_only=True)
class Cost:
    """A line of what was planned, what was spent and what may be."""

    kind: str
    #: Where the figures of the summary are; empty for one that is none of its own.
    path: str
    segments: int | None
    cost: Decimal | None


def format_html(summary: CampaignSummary) -> str:
    """Write a summary as a page in the language of the moment; each figure in it is one of the summary's."""
    top = _round_up(max((span.messages for span in summary.timeline), default=0))
    costs = _list_costs(summary)
    return (
        _make_environment()
        .get_template("report.html")
        .render(
            s=summary,
            language=current_language(),
            version=__version__,
            is_changing=summary.state not in (CampaignState.DONE, CampaignState.CANCELLED),
            outcomes=_list_outcomes(summary),
            fates=_FATES,
            message=_mark_letters(summary.message, summary.plan.offending),
            letters=dict([*summary.plan.offending.items()][:_SHOWN]),
            top=top,
            labels=_label_spans(summary),
            costs=costs,
            longest=max((_measure(line) for line in costs), default=Decimal(0)),
        )
    )


@cache
def _make_environment() -> Environment:
    filters = {
        "figure": _write_figure,
        "number": format_number,
        "money": _write_money,
        "moment": _write_moment,
        "share": _write_share,
        "prefix": _name_prefix,
        "letter": _name_letter,
        "reason": _name_reason,
        "width": _write_width,
        "measure": _measure,
    }
    environment = make_environment("vavasms.campaigns", filters)
    environment.globals |= {"stack": _stack, "in_a_state": in_a_state, "say_reason": say_reason}
    return environment


_FATES = ("delivered", "failed", "pending", "other", "silent")


def _list_outcomes(summary: CampaignSummary) -> Mapping[str, int]:
    """Return the four outcomes, with what waits where anything does."""
    outcomes = {name: getattr(summary, name) for name in ("accepted", "rejected", "not_sent", "unknown")}
    waiting = {name: getattr(summary, name) for name in ("queued", "sending")}
    return outcomes | {name: count for name, count in waiting.items() if count}


def _stack(parts: Mapping[str, int], names: Mapping[str, str]) -> Sequence[Bar]:
    """Return the parts of a whole, side by side."""
    whole, bars, begins = sum(parts.values()) or 1, [], 0.0
    for kind, count in parts.items():
        size = 100 * count / whole
        if count:
            label = f"{names[kind]} {format_number(count)}"
            bars.append(Bar(kind=kind, begins=begins, size=size, label=label))
        begins += size
    return bars


def _list_costs(summary: CampaignSummary) -> Sequence[Cost]:
    """Return what was planned, spent and allowed, as far as it is known."""
    plan = summary.plan
    lines = [Cost(kind="spent", path="", segments=summary.segments, cost=summary.cost)]
    if plan.recipients:
        lines.insert(0, Cost(kind="planned", path="plan.", segments=plan.segments, cost=plan.cost))
    if summary.budget is not None:
        lines.append(Cost(kind="budget", path="budget", segments=None, cost=summary.budget))
    return lines


def _measure(line: Cost) -> Decimal:
    """Return what the bar of a line shows: its cost, or its segments where no price is known."""
    return Decimal(line.segments or 0) if line.cost is None else line.cost


def _mark_letters(message: str, offending: Mapping[str, int]) -> Markup:
    """Return the text with the letters marked that make it dearer."""
    marked = Markup("<mark>{}</mark>")
    letters = (letter if letter.isprintable() or letter == "\n" else " " for letter in message)
    return Markup().join(marked.format(letter) if letter in offending else letter for letter in letters)


def _round_up(count: int) -> int:
    """Return the next number that a person calls round: the top of a chart."""
    if count <= _FEW:
        return max(count, 1)
    power: int = 10 ** (len(str(count)) - 1)
    return next(step * power // 10 for step in _STEPS if step * power // 10 >= count)


def _label_spans(summary: CampaignSummary) -> Sequence[str]:
    """Return when each span of the timeline begins: the hour, the day where there are several."""
    begins = [span.begins for span in summary.timeline]
    is_one_day = len({moment.date() for moment in begins}) < 2
    if summary.span_seconds >= _DAY:
        return [_write_day(moment) for moment in begins]
    form = "%H:%M:%S" if summary.span_seconds < _MINUTE else "%H:%M"
    if is_one_day:
        return [moment.strftime(form) for moment in begins]
    return [f"{_write_day(moment)} {moment.strftime(form)}" for moment in begins]


def _write_figure(value: int | Decimal | None, path: str) -> Markup:
    """Return a figure with its value for programs, and where in the summary it stands."""
    if value is None:
        return Markup("–")
    text = _write_money(value) if isinstance(value, Decimal) else format_number(value)
    plain = write_number(value) if isinstance(value, Decimal) else value
    return Markup('<data value="{}" data-figure="{}">{}</data>').format(plain, path, text)


def _write_money(amount: Decimal) -> Sentence:
    return _("{amount} XOF", amount=write_number(amount))


def _write_moment(moment: datetime | None) -> str:
    return "–" if moment is None else format_moment(moment)


def _write_day(moment: datetime) -> str:
    return format_moment(moment).partition(" ")[0]


def _write_share(count: int, whole: int) -> str:
    """Return a share in percent; one that is neither none nor all is not rounded to it."""
    if not whole:
        return "–"
    tenths = round(1000 * count / whole)
    if 0 < count < whole:
        tenths = min(max(tenths, 1), 999)
    share = Decimal(tenths) / 10
    return _("{share} %", share=share if tenths % 10 else tenths // 10)


def _write_width(seconds: int) -> Sentence:
    """Return how long a span is."""
    if seconds % _DAY == 0:
        return ngettext("{n} day", "{n} days", seconds // _DAY)
    if seconds % _HOUR == 0:
        return ngettext("{n} hour", "{n} hours", seconds // _HOUR)
    if seconds % _MINUTE == 0:
        return ngettext("{n} minute", "{n} minutes", seconds // _MINUTE)
    return ngettext("{n} second", "{n} seconds", seconds)


def _name_prefix(entry: PrefixDeliveries) -> str:
    if not entry.prefix:
        return _("not known: their ids cannot be paired with numbers")
    if entry.owner is not None:
        return _("{digits} ({owner}'s prefix)", digits=entry.prefix[3:], owner=entry.owner)
    return name_country(entry.prefix)


def _name_letter(letter: str) -> str:
    """Return a letter with its code point, by which one that nobody sees is found."""
    point = f"U+{ord(letter[0]):04X}" if letter else ""
    return f"{letter} ({point})" if letter.isprintable() and not letter.isspace() else point


def _name_reason(reason: str) -> str:
    """Return why, as a person reads it: an error, or a word of ours."""
    if not reason:
        return _("other reasons")
    return say_error(reason) if " " in reason else _(reason).replace("_", " ")
