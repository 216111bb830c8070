"""Errors without our frames, also where an interrupt comes while one is being cleaned."""

from __future__ import annotations

import asyncio
import traceback
from typing import NoReturn

import pytest

from vavasms import tracebacks
from vavasms.errors import NotSentError, Outcome, VavaSMSError
from vavasms.tracebacks import hide_frames, hide_frames_async

SECRET = "hunter2"


@hide_frames
def fail(password: str) -> NoReturn:
    error = NotSentError(f"{len(password)} letters", outcome=Outcome.NOT_SENT)
    vars(error)["bulk_report"] = "the account"
    raise error


@hide_frames_async
async def fail_later(password: str) -> NoReturn:
    fail(password)


def call(password: str) -> NoReturn:
    asyncio.run(fail_later(password))
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("work", [fail, call], ids=["plain", "async"])
def test_an_interrupt_while_an_error_is_cleaned_takes_its_place_with_its_account(
    monkeypatch: pytest.MonkeyPatch, work: object
) -> None:
    clean, calls = tracebacks._clean, list[BaseException]()

    def interrupted(error: VavaSMSError) -> BaseException:
        calls.append(error)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return clean(error)

    monkeypatch.setattr(tracebacks, "_clean", interrupted)
    assert callable(work)
    with pytest.raises(KeyboardInterrupt) as raised:
        work(SECRET)
    assert isinstance(calls[0], NotSentError)
    assert vars(raised.value)["bulk_report"] == "the account"
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    ours = [frame for frame in shown.stack if frame.filename == tracebacks.__file__]
    assert SECRET not in "".join(str(frame.locals) for frame in ours)
