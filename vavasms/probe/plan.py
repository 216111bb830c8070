"""What a probe asks, in which order, and what each step may cost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from attrs import frozen

from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.probe.knowledge import Knowledge

#: The most numbers that a request is tried with.
MOST_NUMBERS = 128
#: The code by which the gateway refuses a number.
BAD_NUMBER_CODE = "903"


class ProbeStep(StrEnum):
    """One thing that is asked of the gateway; what may be paid comes in the order of its use."""

    PLAIN = "plain"
    STATUS_PATH = "status_path"
    #: At once: a word that came and went before is missed.
    STATUSES = "statuses"
    BAD_NUMBER = "bad_number"
    LOT = "lot"
    UCS2 = "ucs2"
    SEGMENTS = "segments"
    FREE_SIZES = "free_sizes"
    PAID_SIZES = "paid_sizes"
    PACE = "pace"


_NO_REPLY = N_("it is not known how a number that cannot exist is refused")
_SMS = {
    ProbeStep.PLAIN: 1,
    ProbeStep.BAD_NUMBER: 1,
    # Whoever takes it may take the number that cannot exist as well.
    ProbeStep.LOT: 2,
    ProbeStep.UCS2: 1,
    ProbeStep.SEGMENTS: 2,
}


@frozen(kw_only=True)
class Assessment:
    """Whether a step can be taken."""

    #: It has nothing more to ask.
    is_finished: bool = False
    #: Why it cannot be taken, a clause; empty where it can.
    obstacle: str = ""
    #: SMS that it may cost.
    most: int = 0


_FINISHED = Assessment(is_finished=True)


def assess(step: ProbeStep, known: Knowledge) -> Assessment:
    """Return whether a step can be taken by what is known."""
    if _is_known(step, known) or step in known.done:
        return _FINISHED
    obstacle = _find_obstacle(step, known)
    if obstacle:
        return Assessment(obstacle=obstacle)
    if step is ProbeStep.PAID_SIZES:
        size = next_size(known.paid_sizes)
        return _FINISHED if size is None else Assessment(most=size)
    return Assessment(most=_SMS.get(step, 0))


def next_step(known: Knowledge, spend: int, left_out: Collection[ProbeStep]) -> tuple[ProbeStep, int] | None:
    """Return the next step that fits into `spend` SMS, and what it may cost; None where there is none."""
    for step in ProbeStep:
        found = assess(step, known)
        is_open = not (found.is_finished or found.obstacle or step in left_out)
        if is_open and known.committed + found.most <= spend:
            return step, found.most
    return None


def next_size(taken: Mapping[int, bool]) -> int | None:
    """Return how many numbers to try a request with next: doubled, then halved between; None: no further.

    `taken` has what was tried. One is always taken.
    """
    low = max((size for size, is_taken in taken.items() if is_taken), default=1)
    high = min((size for size, is_taken in taken.items() if not is_taken), default=None)
    if high is None:
        return low * 2 if low < MOST_NUMBERS else None
    return (low + high) // 2 if high - low > 1 else None


def find_limit(taken: Mapping[int, bool]) -> tuple[int | None, bool]:
    """Return the most numbers that were taken, None where only one was, and whether that is the limit."""
    low = max((size for size, is_taken in taken.items() if is_taken), default=None)
    is_limit = not taken.get((low or 1) + 1, True)
    return (low or 1) if is_limit else low, is_limit


def name_request(step: ProbeStep, size: int | None = None) -> str:
    """Return the name of a request in the journal."""
    return step.value if size is None else f"{step.value}-{size}"


def _is_known(step: ProbeStep, known: Knowledge) -> bool:
    """Return whether the profile has already what a step would find out."""
    profile = known.profile
    facts: Mapping[ProbeStep, object] = {
        ProbeStep.PLAIN: profile.unit_price,
        ProbeStep.STATUS_PATH: True if profile.status_path else profile.has_status_call,
        ProbeStep.BAD_NUMBER: known.bad_reply,
        ProbeStep.LOT: profile.lots_are_atomic,
        ProbeStep.UCS2: profile.unit_price_ucs2,
        ProbeStep.SEGMENTS: profile.price_is_per_segment,
        ProbeStep.FREE_SIZES: profile.batch_size_is_limit or None,
        ProbeStep.PAID_SIZES: profile.batch_size_is_limit or None,
        ProbeStep.PACE: profile.requests_per_second,
    }
    return facts.get(step) is not None


def _find_obstacle(step: ProbeStep, known: Knowledge) -> str:
    if _is_lost(step, known):
        return _("its request left, and what became of it is not known: it is not sent again")
    obstacle = _OBSTACLES.get(step)
    return "" if obstacle is None else obstacle(known)


def _is_lost(step: ProbeStep, known: Knowledge) -> bool:
    """Return whether the next request of a step was posted before, and nobody knows what became of it."""
    taken = {ProbeStep.FREE_SIZES: known.free_sizes, ProbeStep.PAID_SIZES: known.paid_sizes}.get(step)
    return name_request(step, None if taken is None else next_size(taken)) in known.tried


def _is_over(step: ProbeStep, known: Knowledge) -> bool:
    return step in known.done or _is_lost(step, known)


def _no_message(known: Knowledge) -> str:
    return "" if known.message is not None else _("no SMS of the probe was accepted")


def _no_status(known: Knowledge) -> str:
    return _no_message(known) or (
        "" if known.profile.status_path is not None else _("no path answers the status")
    )


def _no_reference(known: Knowledge) -> str:
    """Return why a lot with a bad number would tell nothing."""
    if known.bad_reply is None:
        return _(_NO_REPLY)
    if known.bad_reply != BAD_NUMBER_CODE or not known.bad_is_free:
        return _("a number that cannot exist is not refused as one (903), or is paid")
    return "" if known.is_billed else _("the balance was not seen to fall when an SMS was accepted")


def _no_free_refusal(known: Knowledge) -> str:
    if known.bad_reply is None:
        return _(_NO_REPLY)
    return "" if known.bad_is_free else _("a number that cannot exist is refused, and paid all the same")


def _no_price(known: Knowledge) -> str:
    return "" if known.profile.unit_price is not None else _("the price of one segment is not known")


def _not_yet_free(known: Knowledge) -> str:
    """Return why nothing is paid for what may be had for nothing."""
    is_asked = _is_over(ProbeStep.BAD_NUMBER, known)
    is_over = _is_over(ProbeStep.FREE_SIZES, known) or (is_asked and bool(_no_free_refusal(known)))
    return "" if is_over else _("what costs nothing comes first")


_OBSTACLES = {
    ProbeStep.STATUS_PATH: _no_message,
    ProbeStep.STATUSES: _no_status,
    ProbeStep.LOT: _no_reference,
    ProbeStep.SEGMENTS: _no_price,
    ProbeStep.FREE_SIZES: _no_free_refusal,
    ProbeStep.PAID_SIZES: _not_yet_free,
}
