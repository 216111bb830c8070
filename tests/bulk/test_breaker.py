"""When a bulk send goes no further: what halts at once, and three alike in a row."""

from __future__ import annotations

import pytest

from vavasms.bulk.breaker import MAX_EQUAL_FAILURES, CircuitBreaker
from vavasms.errors import (
    AuthenticationError,
    GatewayError,
    NotSentError,
    Outcome,
    RejectedNumberError,
    VavaSMSError,
)


def odd(code: int | None = 999, name: str | None = "NEW") -> GatewayError:
    return GatewayError("Something new.", outcome=Outcome.UNKNOWN, code=code, name=name)


BAD_LOGIN = AuthenticationError("No.", outcome=Outcome.REJECTED, code=901, name="BAD", halts=True)
BAD_NUMBER = RejectedNumberError("No.", outcome=Outcome.REJECTED, code=903, name="PHONE")


def test_what_would_befall_every_batch_halts_at_once_and_for_good() -> None:
    breaker = CircuitBreaker()
    assert [breaker.record(error) for error in (None, BAD_LOGIN, None)] == [False, True, True]
    assert breaker.cause is BAD_LOGIN


def test_three_alike_in_a_row_halt_and_the_last_of_them_is_the_cause() -> None:
    breaker, errors = CircuitBreaker(), [odd(), odd(), odd()]
    assert [breaker.record(error) for error in errors] == [False, False, True]
    assert breaker.cause is errors[2]
    assert breaker.equal_failures == MAX_EQUAL_FAILURES == 3


@pytest.mark.parametrize(
    "between",
    [None, BAD_NUMBER, odd(998), odd(name="OTHER"), odd(None, None), NotSentError("No.", outcome=Outcome.NOT_SENT)],
    ids=repr,
)  # fmt: skip
def test_anything_else_in_between_begins_the_row_anew(between: VavaSMSError | None) -> None:
    breaker = CircuitBreaker()
    assert not any(breaker.record(error) for error in (odd(), odd(), between, odd(), odd()))
    assert breaker.equal_failures == 2
    assert breaker.record(odd())


def test_documented_codes_and_errors_without_a_code_never_add_up() -> None:
    breaker = CircuitBreaker()
    assert not any(breaker.record(error) for error in [BAD_NUMBER, odd(None, None)] * 5)
    assert breaker.equal_failures == 0


def test_a_cause_stays_the_first_one() -> None:
    breaker = CircuitBreaker()
    breaker.record(BAD_LOGIN)
    for _ in range(MAX_EQUAL_FAILURES):
        breaker.record(odd())
    assert breaker.cause is BAD_LOGIN


def test_what_is_not_tried_any_more_says_why_and_is_safe_to_repeat() -> None:
    breaker = CircuitBreaker()
    assert str(breaker.not_sent()) == "Nothing was sent: sending was stopped."
    breaker.record(BAD_LOGIN)
    error = breaker.not_sent()
    assert str(error) == "Nothing was sent: an earlier batch ended in AuthenticationError."
    assert error.outcome is Outcome.NOT_SENT
    assert error.safe_to_retry
