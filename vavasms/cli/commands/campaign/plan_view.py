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

from vavasms.campaigns.planning.plan import CampaignPlan, Earlier, Example
from vavasms.campaigns.policy import Policy
from vavasms.cli import output
from vavasms.i18n import Sentence, format_number, ngettext
from vavasms.i18n import gettext as _
from vavasms.numbers.faults import REPAIRABLE

#: Letters that cost, and operators of a country, named at most.
_SHOWN = 8
#: Requests from which on it takes longer that there is one for each recipient.
_MANY = 50


def show_plan(plan: CampaignPlan, policy: Policy, *, folded: bool) -> None:
    """Show whom a campaign reaches, with what, for how much and until when."""
    show_numbers(plan)
    if repairable := sum(plan.refusals[fault].count for fault in REPAIRABLE if fault in plan.refusals):
        output.say(
            ngettext(
                "Of the refused, {n} may be repaired: --repair, with --region CC if all are of one country.",
                "Of the refused, {n} may be repaired: --repair, with --region CC if all are of one country.",
                repairable,
            )
        )
    output.say()
    show_sending(plan, policy, folded=folded)


def show_numbers(plan: CampaignPlan) -> None:
    """Show what becomes of the numbers of the list, with the first example of each repair and refusal."""
    output.say(_name_list(plan), style="bold")
    if plan.where:
        sentence = ngettext(
            "{n} other row does not hold {conditions}: it is passed over.",
            "{n} other rows do not hold {conditions}: they are passed over.",
            plan.passed_over,
            conditions=output.clean(", ".join(plan.where)),
        )
        output.say(f"  {sentence}")
    table = make_table(_("Numbers"), "", _("For example"))
    table.add_row(*part_count(ngettext("{n} kept", "{n} kept", plan.kept - plan.repaired)))
    table.add_row(*part_count(ngettext("{n} repaired", "{n} repaired", plan.repaired)))
    _add_reasons(table, plan.repairs)
    table.add_row(*part_count(ngettext("{n} duplicate", "{n} duplicates", plan.duplicates)))
    if plan.differing is not None:
        _add_example(table, _("another text"), plan.differing)
    table.add_row(*part_count(ngettext("{n} opted out", "{n} opted out", plan.opted_out)))
    if plan.exclude:
        table.add_row(*part_count(ngettext("{n} excluded", "{n} excluded", plan.excluded)))
    if plan.sample is not None:
        table.add_row(*part_count(ngettext("{n} not drawn", "{n} not drawn", plan.not_drawn)))
    table.add_row(*part_count(ngettext("{n} refused", "{n} refused", plan.refused)))
    _add_reasons(table, plan.refusals)
    table.add_section()
    table.add_row(*part_count(_("{n} in all", n=plan.numbers)))
    output.output().print(table)


def part_count(counted: str) -> tuple[str, str]:
    """Part `12,480 kept` into its number and its word, which agrees with the number."""
    count, _blank, word = counted.partition(" ")
    return count, word


def _name_list(plan: CampaignPlan) -> Sentence:
    rows = ngettext("{n} row", "{n} rows", plan.rows)
    sheet = None if plan.sheet is None else output.clean(plan.sheet)
    column = None if plan.phone_column is None else output.clean(plan.phone_column)
    if plan.retry_of is not None:
        return _("{rows} of the campaign {id}", rows=rows, id=plan.retry_of)
    if sheet and column:
        return _(
            "A list of {rows} of the sheet “{sheet}”, the numbers under “{column}”",
            rows=rows,
            sheet=sheet,
            column=column,
        )
    if sheet:
        return _("A list of {rows} of the sheet “{sheet}”", rows=rows, sheet=sheet)
    if column:
        return _("A list of {rows}, the numbers under “{column}”", rows=rows, column=column)
    return _("A list of {rows}", rows=rows)


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
    return _("{amount} XOF", amount=output.number(amount))


def _add_reasons(table: Table, examples: Mapping[str, Example]) -> None:
    for reason, example in sorted(examples.items(), key=lambda item: -item[1].count):
        _add_example(table, _(reason).replace("_", " "), example)


def _add_example(table: Table, reason: str, example: Example) -> None:
    count = Text(format_number(example.count), style="dim")
    table.add_row(count, f"  {reason}", Text(_name_example(example)))


def _name_example(example: Example) -> str:
    arrow = f" → +{example.became}" if example.became is not None else ""
    return _name_row(example) + arrow


def _name_row(example: Example) -> Sentence:
    text = output.clean(example.text).strip() or _("(an empty cell)")
    return _("row {row}: {text}", row=example.row, text=text)


def _describe(plan: CampaignPlan, policy: Policy, *, folded: bool) -> dict[str, str]:
    return {
        _("Recipients"): _name_places(plan),
        _("Sent today"): "; ".join(map(_describe_earlier, plan.earlier)),
        _("Left out"): _name_excluded(plan),
        _("Retry"): _name_retry(plan),
        _("Sample"): _name_sample(plan),
        _("Kept"): ", ".join(map(output.clean, plan.keep)),
        _("Requests"): _count_requests(plan, policy),
        _("Text"): _("“{text}”", text=output.clean(plan.first_text)),
        _("Segments"): _count_segments(plan),
        _("Costly"): "" if folded else _name_letters(plan),
        _("With --fold"): "" if folded else _say_saving(plan),
        _("Empty cells"): _name_missing(plan),
        _("No values"): _name_no_values(plan),
        _("Never filled"): ", ".join(f"{{{output.clean(name)}}}" for name in plan.unfilled),
        _("Braces"): ", ".join(_explain_braces(output.clean(name)) for name in plan.doubled),
        _("Encoding"): _name_strays(plan),
        _("Misread"): _name_garbled(plan),
        _("Cost"): "" if plan.cost is None else _say_cost(plan, policy),
        _("Balance"): _say_balance(plan),
        _("Ends"): _say_end(plan, policy),
        _("Plan"): plan.hash,
    }


def _describe_earlier(earlier: Earlier) -> str:
    """Describe who had a message today already, and by whom."""
    if earlier.campaign_id is None:
        return ngettext(
            "{n} of these already, by single sends", "{n} of these already, by single sends", earlier.count
        )
    values = {"id": earlier.campaign_id, "sender_id": output.clean(earlier.sender_id or "")}
    if earlier.is_same_message:
        return ngettext(
            "{n} of these already, with this same message, by the campaign {id} ({sender_id})",
            "{n} of these already, with this same message, by the campaign {id} ({sender_id})",
            earlier.count,
            **values,
        )
    return ngettext(
        "{n} of these already, with another message, by the campaign {id} ({sender_id})",
        "{n} of these already, with another message, by the campaign {id} ({sender_id})",
        earlier.count,
        **values,
    )


def _name_excluded(plan: CampaignPlan) -> str:
    if not plan.exclude:
        return ""
    return ngettext(
        "{n} number, for it has the message of {campaigns}, may have it, or is to have it",
        "{n} numbers, for they have the message of {campaigns}, may have it, or are to have it",
        plan.excluded,
        campaigns=output.clean(", ".join(plan.exclude)),
    )


def _name_retry(plan: CampaignPlan) -> str:
    if plan.retry_of is None:
        return ""
    counts = ", ".join(_count_reason(reason, count) for reason, count in plan.retries.items())
    if not plan.retried_before:
        return _("{counts}, of the campaign {id}", counts=counts, id=plan.retry_of)
    return ngettext(
        "{counts}, of the campaign {id}; {n} more is in an earlier retry of it",
        "{counts}, of the campaign {id}; {n} more are in an earlier retry of it",
        plan.retried_before,
        counts=counts,
        id=plan.retry_of,
    )


def _count_reason(reason: str, count: int) -> str:
    if reason == "rejected":
        return ngettext("{n} rejected", "{n} rejected", count)
    if reason == "undelivered":
        return ngettext("{n} undelivered", "{n} undelivered", count)
    return ngettext("{n} not sent", "{n} not sent", count)


def _name_sample(plan: CampaignPlan) -> str:
    if plan.sample is None:
        return ""
    # The seed is to be typed again: as it is.
    return _(
        "{sample} of {n} people, drawn by the seed {seed}",
        sample=format_number(plan.recipients),
        n=plan.sampled_from,
        seed=str(plan.seed),
    )


def _name_no_values(plan: CampaignPlan) -> str:
    if not plan.no_values:
        return ""
    return ngettext(
        "{n} cell that says NULL, #N/A or the like, and counts as empty",
        "{n} cells that say NULL, #N/A or the like, and count as empty",
        plan.no_values,
    )


def _explain_braces(name: str) -> str:
    single, doubled = f"{{{name}}}", f"{{{{{name}}}}}"
    return _(
        "{doubled} is sent as {single}: write {single} for what the column holds",
        doubled=doubled,
        single=single,
    )


def _name_strays(plan: CampaignPlan) -> str:
    if plan.strays is None:
        return ""
    return ngettext(
        "{encoding}, but for {n} record: {example}",
        "{encoding}, but for {n} records: {example}",
        plan.strays.count,
        encoding=plan.encoding,
        example=_name_row(plan.strays),
    )


def _name_garbled(plan: CampaignPlan) -> str:
    if plan.garbled is None:
        return ""
    where = _name_row(plan.garbled) if plan.garbled.row else _("the message")
    if plan.encoding and plan.garbled.row:
        where = _("{where}; --encoding names the file's", where=where)
    return ngettext(
        "{n} text with letters that look wrongly decoded: {where}",
        "{n} texts with letters that look wrongly decoded: {where}",
        plan.garbled.count,
        where=where,
    )


def _name_places(plan: CampaignPlan) -> str:
    places = []
    for country, count in plan.countries.items():
        ranges = [
            f"{_name_range(name.removeprefix(f'{country} '))} {format_number(number)}"
            for name, number in plan.operators.items()
            if name.startswith(f"{country} ")
        ]
        places.append(f"{country} {format_number(count)} ({', '.join(ranges[:_SHOWN])})")
    return _("{n}: {places}", n=plan.recipients, places=_("; ").join(places))


def _name_range(name: str) -> str:
    # Anything else is the name of an operator.
    return _("other") if name == "other" else name


def _count_requests(plan: CampaignPlan, policy: Policy) -> str:
    if plan.has_opt_out_link and plan.requests >= _MANY:
        return _("Each text has a link of its own, so each needs a request: {n} requests", n=plan.requests)
    if plan.is_personal:
        # So few are sent at once in any case.
        if plan.requests < _MANY:
            return format_number(plan.requests)
        return _(
            "Nearly every text differs, so each needs a request: {n} requests",
            n=plan.requests,
        )
    return ngettext(
        "{requests} of up to {n} number",
        "{requests} of up to {n} numbers",
        policy.request_size,
        requests=plan.requests,
    )


def _count_segments(plan: CampaignPlan) -> str:
    each = Decimal(f"{plan.segments / plan.recipients:.3g}")
    if not plan.ucs2_recipients:
        return _("{n}, {each} a recipient, all in GSM-7", n=plan.segments, each=each)
    if plan.ucs2_recipients == plan.recipients:
        return _(
            "{n}, {each} a recipient, all in UCS-2 (70 characters instead of 160)",
            n=plan.segments,
            each=each,
        )
    return _(
        "{n}, {each} a recipient, {share} in UCS-2 (70 characters instead of 160)",
        n=plan.segments,
        each=each,
        share=plan.ucs2_recipients,
    )


def _name_letters(plan: CampaignPlan) -> str:
    letters = [
        f"{output.clean(letter) or '?'} ({format_number(count)})" for letter, count in plan.offending.items()
    ]
    shown = ", ".join(letters[:_SHOWN])
    more = len(letters) - _SHOWN
    return _("{names} and {n} more", names=shown, n=more) if more > 0 else shown


def _say_saving(plan: CampaignPlan) -> str:
    if plan.segments_if_folded >= plan.segments:
        return ""
    segments = ngettext("{n} segment", "{n} segments", plan.segments_if_folded)
    saved = 100 - 100 * plan.segments_if_folded // plan.segments
    if plan.cost_if_folded is None:
        return _("{segments}: {saved} % less", segments=segments, saved=saved)
    cost = write_money(plan.cost_if_folded)
    return _("{segments}, {cost}: {saved} % less", segments=segments, cost=cost, saved=saved)


def _name_missing(plan: CampaignPlan) -> str:
    cells = [
        ngettext(
            "{column} for {n} recipient",
            "{column} for {n} recipients",
            count,
            column="{" + output.clean(name) + "}",
        )
        for name, count in plan.missing.items()
    ]
    return _("{cells}; write {{column|words}} to fill them", cells=", ".join(cells)) if cells else ""


def _say_cost(plan: CampaignPlan, policy: Policy) -> str:
    assert plan.cost is not None and policy.unit_price is not None  # noqa: PT018  one follows the other
    price = write_money(policy.unit_price)
    cost = _("{cost}, at {price} a segment", cost=write_money(plan.cost), price=price)
    if policy.budget is None or plan.cost <= policy.budget:
        return cost
    budget = write_money(policy.budget)
    return _("{cost}; the budget of {budget} pauses it before that", cost=cost, budget=budget)


def _say_balance(plan: CampaignPlan) -> str:
    if plan.balance is None:
        return ""
    after, now = plan.balance_after, write_money(plan.balance)
    if after is None:
        return _("{balance} now", balance=now)
    if after < 0:
        return _("{balance} now, {after} after — it does not suffice", balance=now, after=write_money(after))
    return _("{balance} now, {after} after", balance=now, after=write_money(after))


def _say_end(plan: CampaignPlan, policy: Policy) -> str:
    if plan.ends_at is None:
        return ""
    if not math.isfinite(plan.ends_at):
        return _("not within a century at this rate")
    when = write_moment(plan.ends_at, policy)
    if policy.not_before is not None:
        return _("about {when}", when=when)
    return _("about {when}, if it starts now", when=when)


def write_moment(at: float, policy: Policy) -> str:
    """Write a moment in the zone of a campaign's hours, or the machine's own; the day where it is another."""
    zone = None if policy.window is None else policy.window.zone
    moment = datetime.fromtimestamp(at, zone)
    when: str = f"{moment:%H:%M}"
    if moment.date() != datetime.now(zone).date():
        year, month, day_of_month = moment.strftime("%Y %m %d").split()
        day = _("{year}-{month}-{day}", year=year, month=month, day=day_of_month)
        when = _("{time} on {day}", time=when, day=day)
    return when if zone is None else f"{when} ({zone.key})"
