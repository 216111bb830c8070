"""A plan for people, within 80 columns, and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import asdict
from rich import box
from rich.table import Table
from rich.text import Text

from vavasms.campaigns.planning.plan import CampaignPlan, Example
from vavasms.campaigns.policy import Policy
from vavasms.cli import output
from vavasms.numbers.faults import NumberFault

#: Reasons to refuse a number of which a repair may make a right one.
_REPAIRABLE = (NumberFault.OLD_PLAN, NumberFault.LOST_ZERO, NumberFault.DECIMAL)
#: Letters that cost, and operators of a country, named at most.
_SHOWN = 8


def show_plan(plan: CampaignPlan, policy: Policy, *, folded: bool) -> None:
    """Show whom a campaign reaches, with what, for how much and until when."""
    show_numbers(plan)
    if repairable := sum(plan.refusals[fault].count for fault in _REPAIRABLE if fault in plan.refusals):
        options = "--repair, with --region CC if all are of one country"
        output.say(f"Of the refused, {repairable:,} may be repaired: {options}.")
    output.say()
    show_sending(plan, policy, folded=folded)


def show_numbers(plan: CampaignPlan) -> None:
    """Show what becomes of the numbers of the list, with the first example of each repair and refusal."""
    column = f", the numbers under “{output.clean(plan.phone_column)}”" if plan.phone_column else ""
    sheet = f" of the sheet “{output.clean(plan.sheet)}”" if plan.sheet else ""
    output.say(f"A list of {output.count(plan.rows, 'row')}{sheet}{column}", style="bold")
    table = make_table("Numbers", "", "For example")
    table.add_row(f"{plan.kept - plan.repaired:,}", "kept", "")
    _add_reasons(table, plan.repaired, "repaired", plan.repairs)
    table.add_row(f"{plan.duplicates:,}", "duplicates", "")
    if plan.differing is not None:
        _add_example(table, "another text", plan.differing)
    table.add_row(f"{plan.opted_out:,}", "opted out", "")
    _add_reasons(table, plan.refused, "refused", plan.refusals)
    table.add_section()
    table.add_row(f"{plan.numbers:,}", "in all", "")
    output.output().print(table)


def show_sending(plan: CampaignPlan, policy: Policy, *, folded: bool) -> None:
    """Show what will be sent."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    for name, text in _describe(plan, policy, folded=folded).items():
        if text:
            lines.add_row(name, Text(text))
    output.output().print(lines)


def make_table(*headings: str) -> Table:
    """Return a table whose first column is a number."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place else "right", overflow="fold")
    return table


def make_object(plan: CampaignPlan) -> dict[str, Any]:
    """Return the plan as JSON has it."""
    derived = {"balance_after": plan.balance_after, "cost_if_folded": plan.cost_if_folded}
    # JSON has no infinity.
    endless = plan.ends_at is not None and not math.isfinite(plan.ends_at)
    return asdict(plan) | derived | ({"ends_at": None} if endless else {})


def write_money(amount: Decimal) -> str:
    """Return an amount: `1,000 XOF`."""
    return f"{output.number(amount):,} XOF"


def _add_reasons(table: Table, count: int, fate: str, examples: Mapping[str, Example]) -> None:
    table.add_row(f"{count:,}", fate, "")
    for reason, example in sorted(examples.items(), key=lambda item: -item[1].count):
        _add_example(table, reason.replace("_", " "), example)


def _add_example(table: Table, reason: str, example: Example) -> None:
    table.add_row(Text(f"{example.count:,}", style="dim"), f"  {reason}", Text(_name_example(example)))


def _name_example(example: Example) -> str:
    arrow = f" → +{example.became}" if example.became is not None else ""
    text = output.clean(example.text).strip() or "(an empty cell)"
    return f"row {example.row:,}: {text}{arrow}"


def _describe(plan: CampaignPlan, policy: Policy, *, folded: bool) -> dict[str, str]:
    return {
        "Recipients": _name_places(plan),
        "Requests": _count_requests(plan, policy),
        "Text": f"“{output.clean(plan.first_text)}”",
        "Segments": _count_segments(plan),
        "Costly": "" if folded else _name_letters(plan),
        "With --fold": "" if folded else _say_saving(plan),
        "Empty cells": _name_missing(plan),
        "No values": _name_no_values(plan),
        "Never filled": ", ".join(f"{{{output.clean(name)}}}" for name in plan.unfilled),
        "Braces": ", ".join(_explain_braces(output.clean(name)) for name in plan.doubled),
        "Encoding": _name_strays(plan),
        "Misread": _name_garbled(plan),
        "Cost": "" if plan.cost is None else _say_cost(plan, policy),
        "Balance": _say_balance(plan),
        "Ends": _say_end(plan, policy),
        "Plan": plan.hash,
    }


def _name_no_values(plan: CampaignPlan) -> str:
    if not plan.no_values:
        return ""
    return f"{output.count(plan.no_values, 'cell')} that say NULL, #N/A or the like, and count as empty"


def _explain_braces(name: str) -> str:
    return f"{{{{{name}}}}} is sent as {{{name}}}: write {{{name}}} for what the column holds"


def _name_strays(plan: CampaignPlan) -> str:
    if plan.strays is None:
        return ""
    records = output.count(plan.strays.count, "record")
    return f"{plan.encoding}, but for {records}: {_name_example(plan.strays)}"


def _name_garbled(plan: CampaignPlan) -> str:
    if plan.garbled is None:
        return ""
    texts = output.count(plan.garbled.count, "text")
    text = output.clean(plan.garbled.text)
    where = f"row {plan.garbled.row:,}: {text}" if plan.garbled.row else "the message"
    advice = "; --encoding names the file's" if plan.encoding and plan.garbled.row else ""
    return f"{texts} with letters that look wrongly decoded: {where}{advice}"


def _name_places(plan: CampaignPlan) -> str:
    places = []
    for country, count in plan.countries.items():
        ranges = [
            f"{name.removeprefix(f'{country} ')} {number:,}"
            for name, number in plan.operators.items()
            if name.startswith(f"{country} ")
        ]
        places.append(f"{country} {count:,} ({', '.join(ranges[:_SHOWN])})")
    return f"{plan.recipients:,}: {'; '.join(places)}"


def _count_requests(plan: CampaignPlan, policy: Policy) -> str:
    if plan.is_personal:
        return (
            f"{plan.requests:,}: nearly every recipient has a text of their own, and so a request of "
            "their own. That takes longer than one text for all."
        )
    return f"{plan.requests:,} of up to {output.count(policy.batch_size, 'number')}"


def _count_segments(plan: CampaignPlan) -> str:
    most = f", {plan.segments / plan.recipients:.3g} a recipient"
    if not plan.ucs2_recipients:
        return f"{plan.segments:,}{most}, all in GSM-7"
    share = "all" if plan.ucs2_recipients == plan.recipients else f"{plan.ucs2_recipients:,}"
    return f"{plan.segments:,}{most}, {share} in UCS-2 (70 characters instead of 160)"


def _name_letters(plan: CampaignPlan) -> str:
    letters = [f"{output.clean(letter) or '?'} ({count:,})" for letter, count in plan.offending.items()]
    more = f" and {len(letters) - _SHOWN:,} more" if len(letters) > _SHOWN else ""
    return ", ".join(letters[:_SHOWN]) + more


def _say_saving(plan: CampaignPlan) -> str:
    if plan.segments_if_folded >= plan.segments:
        return ""
    cost = "" if plan.cost_if_folded is None else f", {write_money(plan.cost_if_folded)}"
    saved = 100 - 100 * plan.segments_if_folded // plan.segments
    return f"{output.count(plan.segments_if_folded, 'segment')}{cost}: {saved} % less"


def _name_missing(plan: CampaignPlan) -> str:
    cells = [f"{{{output.clean(name)}}} of {count:,}" for name, count in plan.missing.items()]
    return f"{', '.join(cells)}; write {{column|words}} to fill them" if cells else ""


def _say_cost(plan: CampaignPlan, policy: Policy) -> str:
    assert plan.cost is not None and policy.unit_price is not None  # noqa: PT018  one follows the other
    cost = f"{write_money(plan.cost)}, at {write_money(policy.unit_price)} a segment"
    if policy.budget is None or plan.cost <= policy.budget:
        return cost
    return f"{cost}; the budget of {write_money(policy.budget)} pauses it before that"


def _say_balance(plan: CampaignPlan) -> str:
    if plan.balance is None:
        return ""
    after = plan.balance_after
    if after is None:
        return f"{write_money(plan.balance)} now"
    short = " — it does not suffice" if after < 0 else ""
    return f"{write_money(plan.balance)} now, {write_money(after)} after{short}"


def _say_end(plan: CampaignPlan, policy: Policy) -> str:
    if plan.ends_at is None:
        return ""
    if not math.isfinite(plan.ends_at):
        return "not within a century at this rate"
    zone = None if policy.window is None else policy.window.zone
    ends = datetime.fromtimestamp(plan.ends_at, zone)
    day = "" if ends.date() == datetime.now(zone).date() else f" on {ends:%Y-%m-%d}"
    where = "" if zone is None else f" ({zone.key})"
    return f"about {ends:%H:%M}{day}{where}, if it starts now"
