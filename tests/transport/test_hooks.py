"""Hooks: who may be one."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from vavasms import AsyncVavaSMS, CallInfo, ConfigurationError, Outcome, VavaSMS
from vavasms.transport.hooks import check_hook, run_hook


async def later(_: CallInfo) -> None:
    raise AssertionError("nobody awaits this")


async def piecemeal(_: CallInfo) -> AsyncIterator[None]:
    yield


class Later:
    async def __call__(self, _: CallInfo) -> None:
        raise AssertionError("nobody awaits this")

    async def method(self, _: CallInfo) -> None:
        raise AssertionError("nobody awaits this")


class Now:
    def __call__(self, _: CallInfo) -> None: ...


WRONG = [later, partial(later), piecemeal, Later(), Later().method, "print", 7, True]


@pytest.mark.parametrize("hook", WRONG, ids=lambda hook: type(hook).__name__)
def test_a_hook_that_would_never_run_is_refused_in_one_sentence(hook: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_hook("on_request", hook)
    assert str(caught.value) == (
        "on_request must be a plain function, not an async one: nothing awaits it. Nothing was sent."
    )
    assert (caught.value.outcome, caught.value.halts) == (Outcome.NOT_SENT, True)


@pytest.mark.parametrize("hook", [None, print, [].append, Now(), partial(print, "call")], ids=range(5))
def test_whatever_can_be_called_on_the_spot_may_be_a_hook(hook: Any) -> None:
    assert check_hook("on_response", hook) is hook


@pytest.mark.parametrize("name", ["on_request", "on_response"])
@pytest.mark.parametrize("client", [AsyncVavaSMS, VavaSMS])
def test_no_client_is_made_with_a_hook_that_would_never_run(client: type, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a plain function"):
        client("user@example.com", "secret", **{name: later})


def test_a_cancellation_out_of_a_plain_hook_is_a_fault_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(error: BaseException) -> None:
        raise error

    for error in (CancelledError(), ZeroDivisionError()):
        run_hook(partial(fail, error), "A hook failed (%s).")
    assert caplog.messages == ["A hook failed (CancelledError).", "A hook failed (ZeroDivisionError)."]
    for exit_ in (KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(exit_)):
            run_hook(partial(fail, exit_), "A hook failed (%s).")
