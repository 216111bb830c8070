"""What a plan of faults promises, without a wire."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from vavasms.sandbox import Fault, FaultKind, FaultPlan, Moment, SandboxError

HTML = Fault(kind=FaultKind.HTML)
EMPTY = Fault(kind=FaultKind.EMPTY)


def test_a_script_is_used_up_in_order_one_step_a_request() -> None:
    plan = FaultPlan()
    plan.script(HTML, None, EMPTY)
    assert plan.pending == 3
    assert [plan.take("/x") for _ in range(4)] == [HTML, None, EMPTY, None]
    assert (plan.pending, plan.taken) == (0, 2)


def test_a_step_for_another_path_waits_for_its_call() -> None:
    plan = FaultPlan()
    plan.script(HTML, path="/v1/otp/send")
    plan.script(EMPTY)
    assert plan.take("/v1/text/single") == EMPTY
    assert plan.take("/v1/text/single") is None
    assert plan.take("/v1/otp/send") == HTML


def test_the_script_goes_before_the_rates() -> None:
    plan = FaultPlan()
    plan.set_rates({HTML: 1.0})
    plan.script(None)
    assert [plan.take("/x"), plan.take("/x")] == [None, HTML]


def test_rates_hold_and_repeat_with_their_seed() -> None:
    plan, again = FaultPlan(rng=random.Random(7)), FaultPlan()
    plan.set_rates({HTML: 0.2, EMPTY: 0.1})
    again.set_rates({HTML: 0.2, EMPTY: 0.1}, seed=7)
    drawn = [plan.take("/x") for _ in range(2000)]
    assert drawn == [again.take("/x") for _ in range(2000)]
    counts = Counter(drawn)
    assert counts[HTML] == pytest.approx(400, abs=60)
    assert counts[EMPTY] == pytest.approx(200, abs=50)


@pytest.mark.parametrize("rates", [{HTML: -0.1}, {HTML: 0.6, EMPTY: 0.5}, {HTML: float("nan")}])
def test_rates_that_are_no_probabilities_are_refused(rates: dict[Fault, float]) -> None:
    plan = FaultPlan()
    plan.script(EMPTY)
    with pytest.raises(SandboxError, match="probabilities"):
        plan.replace([], rates)
    assert plan.pending == 1


def test_a_cleared_plan_is_empty() -> None:
    plan = FaultPlan()
    plan.script(HTML)
    plan.set_rates({HTML: 1.0})
    plan.clear()
    assert plan.take("/x") is None


def test_threads_share_a_script_without_losing_or_doubling_a_step() -> None:
    plan = FaultPlan()
    plan.script(*[HTML] * 1000)
    taken: list[Fault | None] = []

    def work() -> None:
        taken.extend(plan.take("/x") for _ in range(300))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert plan.wait_taken(1000)
    for thread in threads:
        thread.join(5)
    assert (taken.count(HTML), taken.count(None)) == (1000, 200)
    assert not plan.wait_taken(1001, timeout=0)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_each_kind_has_a_moment_of_its_own_and_refuses_a_wrong_one(kind: FaultKind) -> None:
    assert isinstance(Fault(kind=kind).moment, Moment)
    if kind not in {FaultKind.STALL, FaultKind.RESET}:
        wrong = Moment.AFTER_READING if kind is FaultKind.REFUSE else Moment.BEFORE_READING
        if kind is FaultKind.CLOSE_BEFORE_READING:
            wrong = Moment.AFTER_ACCEPTING
        with pytest.raises(SandboxError, match=f"a {kind.value} fault strikes"):
            Fault(kind=kind, moment=wrong)


@pytest.mark.parametrize("status", [100, 199, 600])
def test_a_status_that_ends_no_request_is_refused(status: int) -> None:
    with pytest.raises(SandboxError, match="200 to 599"):
        Fault(kind=FaultKind.STATUS, status=status)


@pytest.mark.parametrize("seconds", [-0.5, float("nan"), float("inf"), 10**400])
def test_a_fault_that_would_never_end_is_refused(seconds: float) -> None:
    with pytest.raises(SandboxError, match="seconds"):
        Fault(kind=FaultKind.STALL, seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [("X-Name", "€"), ("X-Name", "a\nb"), ("X-Name", "\x00"), ("X-Name", " a"), ("", "a"), ("é", "a")],
)
def test_a_header_that_no_reply_can_have_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(SandboxError, match="a header of a reply"):
        Fault(kind=FaultKind.RAW, headers=(header,))


@pytest.mark.parametrize("header", [("X-Name", ""), ("X-Name", "é à\tb"), ("!#$", "a")])
def test_a_header_that_a_reply_can_have_is_taken(header: tuple[str, str]) -> None:
    assert Fault(kind=FaultKind.RAW, headers=(header,)).headers == (header,)
