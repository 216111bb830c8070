"""What `probe` says: each step before it is taken, what came of it, and all of it at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from rich.table import Table
from rich.text import Text

from vavasms.cli import output
from vavasms.cli.shell import write_setting
from vavasms.i18n import Sentence, format_number, in_english, ngettext
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.numbers import Msisdn
from vavasms.probe.knowledge import Knowledge
from vavasms.probe.plan import ProbeStep, assess, next_size
from vavasms.profile.models import NAMES, GatewayProfile, Oversize

#: What a step asks.
QUESTIONS: Mapping[ProbeStep, str] = {
    ProbeStep.PLAIN: N_("One SMS in plain letters: what does a segment cost?"),
    ProbeStep.STATUS_PATH: N_("Which path answers the delivery status?"),
    ProbeStep.BAD_NUMBER: N_("A number that cannot exist: how is it refused, and is that free?"),
    ProbeStep.LOT: N_("A lot of your number and one that cannot exist: is it refused whole?"),
    ProbeStep.UCS2: N_("One SMS in Unicode: what does it cost?"),
    ProbeStep.SEGMENTS: N_("One text of two segments: does it cost twice as much?"),
    ProbeStep.FREE_SIZES: N_("Numbers that cannot exist, more and more: how many does a request take?"),
    ProbeStep.PAID_SIZES: N_("Your number several times in one request: how many does it take?"),
    ProbeStep.STATUSES: N_("Which statuses come, and how soon?"),
    ProbeStep.PACE: N_("Many readings of the balance at once: does 429 come?"),
}
#: What it is about, in the table at the end.
LABELS: Mapping[ProbeStep, str] = {
    ProbeStep.PLAIN: N_("price of a segment"),
    ProbeStep.STATUS_PATH: N_("delivery status"),
    ProbeStep.LOT: N_("lot with a bad number"),
    ProbeStep.UCS2: N_("price in Unicode"),
    ProbeStep.SEGMENTS: N_("longer texts"),
    ProbeStep.PAID_SIZES: N_("numbers a request"),
    ProbeStep.STATUSES: N_("statuses"),
    ProbeStep.PACE: N_("pace"),
}


def introduce(to: Msisdn, known: Knowledge, spend: int, path: Path) -> Iterator[str]:
    """Yield what is said first."""
    yield _(
        "Only {number} is sent anything. While this runs nothing else should be sent from the account: the "
        "balance is read before and after.",
        number=to.e164,
    )
    yield _("It may cost {n} SMS in all.", n=spend)
    if known.committed:
        yield _tell_spent(known)
    yield _("What is learnt goes to {path}, step by step.", path=output.clean(str(path)))


def describe_step(step: ProbeStep, most: int) -> str:
    """Return what a step asks, and what it may cost."""
    question = _(QUESTIONS[step])
    if step is ProbeStep.FREE_SIZES:
        return _(
            "{question} It costs nothing as long as they are refused as one alone was, and ends where they "
            "are not.",
            question=question,
        )
    if not most:
        return _("{question} It costs nothing.", question=question)
    return _("{question} It may cost {n} SMS.", n=most, question=question)


def ask_consent(known: Knowledge, spend: int) -> str:
    """Return what stands before the question."""
    return _("{spent} of {spend} SMS are spent, or may be.", spent=known.committed, spend=spend)


def describe_result(step: ProbeStep, known: Knowledge) -> str:
    """Return what came of a step."""
    found = describe_fact(step, known)
    if found is not None:
        return found
    why = assess(step, known).obstacle
    return _("Not settled: {why}.", why=why) if why else _("Not settled: the answers leave it open.")


def describe_fact(step: ProbeStep, known: Knowledge) -> Sentence | None:
    """Return what is known of what a step asks; None where nothing is."""
    describe = _FACTS[step]
    return describe(known)


def describe_file() -> str:
    """Return the comment of the profile's file."""
    return _("The gateway as `vavasms probe` found it. What is not here is not known.")


def make_event(step: ProbeStep, known: Knowledge) -> dict[str, object]:
    """Return a step that was taken as JSON has it."""
    found = describe_fact(step, known)
    return {
        "event": "step",
        "step": step.value,
        "settled": found is not None,
        "sentence": in_english(describe_result(step, known)),
        "spent": known.spent,
        "may_have_spent": known.may_have_spent,
    }


def make_end(
    known: Knowledge, profile: GatewayProfile, path: Path, *, is_interrupted: bool
) -> dict[str, object]:
    """Return the end as JSON has it; sums in SMS."""
    return {
        "event": "end",
        "spent": known.spent,
        "may_have_spent": known.may_have_spent,
        "interrupted": is_interrupted,
        "file": str(path),
        "profile": _make_profile(profile),
    }


def _make_profile(profile: GatewayProfile) -> dict[str, object]:
    values = {name: getattr(profile, name) for name in NAMES}
    return values | {"statuses": dict(profile.statuses)}


def show_summary(known: Knowledge, spend: int, left_out: Mapping[ProbeStep, str]) -> None:
    """Print what is known and what is not."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for step, label in LABELS.items():
        found = describe_fact(step, known)
        text = (
            Text(output.clean(found)) if found is not None else Text(_missing(step, known, spend, left_out))
        )
        if found is None:
            text.stylize("dim")
        table.add_row(Text(_(label)), text)
    output.output().print(table)


def _missing(step: ProbeStep, known: Knowledge, spend: int, left_out: Mapping[ProbeStep, str]) -> str:
    found = assess(step, known)
    why = found.obstacle or left_out.get(step, "")
    if not why and not found.is_finished and known.committed + found.most > spend:
        why = _("it may cost {n} SMS, which is more than is left", n=found.most)
    return _("Not known: {why}.", why=why) if why else _("Not known: the answers leave it open.")


def conclude(known: Knowledge, spend: int, path: Path) -> Iterator[str]:
    """Yield what is said last."""
    yield _tell_spent(known)
    if known.profile == GatewayProfile():
        return
    yield _("The profile is in {path}. To go by it:", path=output.clean(str(path)))
    yield f"  {write_setting('VAVASMS_PROFILE', str(path.absolute()))}"
    more = next_size(known.paid_sizes)
    if not known.profile.batch_size_is_limit and more is not None and known.committed + more > spend:
        yield _("A larger --spend goes on where this ended; what is known costs nothing again.")


def _tell_spent(known: Knowledge) -> str:
    spent = _("Spent so far: {n} SMS.", n=known.spent)
    if not known.may_have_spent:
        return spent
    lost = _(
        "Unknown, at most {n} SMS more: a request was cut off, and is not sent again.", n=known.may_have_spent
    )
    return f"{spent} {lost}"


def _money(amount: Decimal) -> str:
    return _("{amount} XOF", amount=format_number(amount))


def _describe_price(known: Knowledge) -> Sentence | None:
    price = known.profile.unit_price
    return None if price is None else _("A segment costs {price}.", price=_money(price))


def _describe_ucs2(known: Knowledge) -> Sentence | None:
    price = known.profile.unit_price_ucs2
    return None if price is None else _("A segment in Unicode costs {price}.", price=_money(price))


def _describe_segments(known: Knowledge) -> Sentence | None:
    is_per_segment = known.profile.price_is_per_segment
    if is_per_segment is None:
        return None
    if is_per_segment:
        return _("A text of two segments costs two.")
    return _("A text of two segments costs as much as one of one.")


def _describe_path(known: Knowledge) -> Sentence | None:
    profile = known.profile
    if profile.status_path is not None:
        return _("{path} answers the delivery status.", path=profile.status_path)
    if profile.has_status_call is False:
        return _("None of the paths that were tried answers it: delivery stays unknown.")
    return None


def _describe_bad(known: Knowledge) -> Sentence | None:
    if known.bad_reply is None:
        return None
    if known.bad_is_free:
        return _("It is refused with {code}, and costs nothing.", code=known.bad_reply)
    return _("It is refused with {code}, and the balance moved all the same.", code=known.bad_reply)


def _describe_lot(known: Knowledge) -> Sentence | None:
    atomic = known.profile.lots_are_atomic
    if atomic is None:
        return None
    if atomic:
        return _("It is refused whole: nobody has it, and nothing is paid.")
    return _("The good numbers of it are sent to: a refused lot stays unknown.")


def _describe_size(known: Knowledge) -> Sentence | None:
    profile = known.profile
    size = profile.batch_size
    if size is None:
        return None
    if not profile.batch_size_is_limit:
        return ngettext("A request takes {n} number at least.", "A request takes {n} numbers at least.", size)
    if profile.oversize is Oversize.DROPPED:
        return ngettext(
            "A request takes exactly {n} number, and drops the others without a word.",
            "A request takes exactly {n} numbers, and drops the others without a word.",
            size,
        )
    return ngettext(
        "A request takes exactly {n} number, and is refused with more.",
        "A request takes exactly {n} numbers, and is refused with more.",
        size,
    )


def _describe_statuses(known: Knowledge) -> Sentence | None:
    statuses = known.profile.statuses
    if not statuses:
        return None
    words = ", ".join(
        _("{word} after {seconds} s", word=word, seconds=format_number(age)) for word, age in statuses.items()
    )
    return _("They come: {words}.", words=words)


def _describe_pace(known: Knowledge) -> Sentence | None:
    pace = known.profile.requests_per_second
    if pace is None:
        return None
    if known.profile.requests_per_second_is_limit:
        return ngettext(
            "After {n} request within a second 429 comes.",
            "After {n} requests within a second 429 comes.",
            pace,
        )
    return ngettext(
        "{n} request was answered within a second, and 429 did not come.",
        "{n} requests were answered within a second, and 429 did not come.",
        pace,
    )


_FACTS = {
    ProbeStep.PLAIN: _describe_price,
    ProbeStep.STATUS_PATH: _describe_path,
    ProbeStep.BAD_NUMBER: _describe_bad,
    ProbeStep.LOT: _describe_lot,
    ProbeStep.UCS2: _describe_ucs2,
    ProbeStep.SEGMENTS: _describe_segments,
    ProbeStep.FREE_SIZES: _describe_size,
    ProbeStep.PAID_SIZES: _describe_size,
    ProbeStep.STATUSES: _describe_statuses,
    ProbeStep.PACE: _describe_pace,
}
