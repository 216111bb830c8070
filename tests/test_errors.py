"""The tree of errors: complete as drawn, picklable, and never softer than the outcome."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator

import pytest

import vavasms
from vavasms import errors
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    IdempotencyConflictError,
    InvalidInputError,
    InvalidMessageError,
    InvalidNumberError,
    InvalidOtpTemplateError,
    InvalidSenderIdError,
    LedgerBusyError,
    LedgerError,
    MessageNotFoundError,
    NotSentError,
    OtpLimit,
    OtpLimitedError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedNumberError,
    SendInProgressError,
    ServerError,
    UnexpectedReplyError,
    UnknownSenderIdError,
    VavaSMSError,
)
from vavasms.numbers import Msisdn

TREE: dict[type[VavaSMSError], type[Exception]] = {
    VavaSMSError: Exception,
    InvalidInputError: VavaSMSError,
    InvalidNumberError: InvalidInputError,
    InvalidSenderIdError: InvalidInputError,
    InvalidMessageError: InvalidInputError,
    InvalidOtpTemplateError: InvalidInputError,
    IdempotencyConflictError: InvalidInputError,
    ConfigurationError: VavaSMSError,
    LedgerError: VavaSMSError,
    LedgerBusyError: LedgerError,
    OtpLimitedError: VavaSMSError,
    SendInProgressError: VavaSMSError,
    NotSentError: VavaSMSError,
    OutcomeUnknownError: VavaSMSError,
    UnexpectedReplyError: VavaSMSError,
    RateLimitedError: VavaSMSError,
    ServerError: VavaSMSError,
    GatewayError: VavaSMSError,
    AuthenticationError: GatewayError,
    UnknownSenderIdError: GatewayError,
    RejectedNumberError: GatewayError,
    MessageNotFoundError: GatewayError,
}


def examples() -> Iterator[VavaSMSError]:
    """Yield one error of each class, with every attribute set."""
    for cls in TREE:
        match cls:
            case _ if issubclass(cls, InvalidNumberError):
                yield cls("No number.", reason="too_short", suggestion=Msisdn("2250709000001"))
            case _ if issubclass(cls, IdempotencyConflictError):
                yield cls("Used for something else.", first_used_at=1.75e9)
            case _ if issubclass(cls, InvalidInputError):
                yield cls("Bad.", outcome=None)
            case _ if issubclass(cls, OtpLimitedError):
                yield cls("Too many.", reason=OtpLimit.COOL_DOWN, retry_after=7.5)
            case _ if issubclass(cls, RateLimitedError):
                yield cls("Slow down.", retry_after=7.5, outcome=Outcome.NOT_SENT)
            case _ if issubclass(cls, GatewayError):
                yield cls(
                    "No.",
                    code=901,
                    name="A_NAME",
                    description="Une phrase",
                    http_status=400,
                    outcome=Outcome.REJECTED,
                    halts=True,
                )
            case _:
                assert issubclass(cls, VavaSMSError)
                yield cls("Went wrong.", outcome=Outcome.UNKNOWN, halts=True)


def test_every_class_stands_where_the_tree_says() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, VavaSMSError)
    }
    assert defined == TREE.keys()
    for cls, parent in TREE.items():
        assert cls.__base__ is parent
        assert getattr(vavasms, cls.__name__) is cls
    assert issubclass(InvalidInputError, ValueError)
    assert all(issubclass(cls, ValueError) is issubclass(cls, InvalidInputError) for cls in TREE)


def test_the_drawn_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    stack: list[tuple[int, str]] = []
    parents: dict[str, str] = {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"([ │├└─]*)(\w+Error)\b", line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else "Exception"
        stack.append((depth, name))
    assert parents == {cls.__name__: parent.__name__ for cls, parent in TREE.items()}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("error", list(examples()), ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_whole(error: VavaSMSError, protocol: int) -> None:
    twins = [pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)]
    for twin in twins:
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert twin.args == error.args
        assert vars(twin) == vars(error)
        assert twin.outcome is error.outcome
        assert twin.safe_to_retry is error.safe_to_retry


def test_a_note_survives_pickling() -> None:
    error = NotSentError("x", outcome=Outcome.NOT_SENT)
    error.add_note("why")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["why"]


def test_words_changed_afterwards_survive_pickling() -> None:
    error = GatewayError("number 2250709000001", code=1)
    error.args = ("number ***",)
    assert str(pickle.loads(pickle.dumps(error))) == "number ***"


def test_only_what_was_not_sent_is_safe_to_retry() -> None:
    for cls in (
        VavaSMSError,
        NotSentError,
        OutcomeUnknownError,
        ServerError,
        ConfigurationError,
        GatewayError,
    ):
        for outcome in [None, *Outcome]:
            assert cls("x", outcome=outcome).safe_to_retry is (outcome is Outcome.NOT_SENT)
    with pytest.raises(AttributeError):
        VavaSMSError("x").safe_to_retry = True  # type: ignore[misc]


def test_wrong_input_was_not_sent_unless_the_call_sends_nothing() -> None:
    assert InvalidInputError("x").outcome is Outcome.NOT_SENT
    assert InvalidNumberError("x", reason="y").outcome is Outcome.NOT_SENT
    assert InvalidInputError("x", outcome=None).outcome is None


def test_a_bare_error_knows_no_outcome() -> None:
    for error in (VavaSMSError("x"), GatewayError("x"), RateLimitedError("x", retry_after=None)):
        assert (error.outcome, error.halts, error.safe_to_retry) == (None, False, False)
    bare = GatewayError("x")
    assert (bare.code, bare.name, bare.description, bare.http_status) == (None, None, None, None)
    assert InvalidNumberError("x", reason="y").suggestion is None


def test_a_suggested_number_is_masked_when_shown() -> None:
    error = InvalidNumberError("x", reason="old_plan", suggestion=Msisdn("2250709000001"))
    assert "2250709000001" not in f"{error} {error!r} {vars(error)!r}"


def test_there_are_four_outcomes_and_their_words_are_stored() -> None:
    assert [outcome.value for outcome in Outcome] == ["accepted", "rejected", "not_sent", "unknown"]
