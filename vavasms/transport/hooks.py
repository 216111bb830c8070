"""What hooks are told of a call. Never a credential, a number or a text."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from typing import Any, TypeVar

from attrs import frozen

from vavasms.config import misconfigured
from vavasms.errors import Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.telemetry import TraceSpan
from vavasms.transport.body import Attempt
from vavasms.wire.requests import Call, CallKind, Request

logger = logging.getLogger("vavasms")


@frozen(kw_only=True)
class CallInfo:
    """What a hook may see of one attempt: no credential, no text, no number."""

    #: `balance`, `send_text`, `delivery_status`, `send_otp` or `verify_otp`.
    call: str
    path: str
    #: How many numbers the request holds.
    recipients: int
    #: None before the answer, or where none came.
    http_status: int | None = None
    #: Seconds; None before the answer.
    elapsed: float | None = None
    #: The error this attempt ended in, if any. Another attempt may follow.
    error: VavaSMSError | None = None

    @property
    def ending(self) -> str:
        """How it ended: a send with the word of its outcome, any other call with `ok` or `failed`."""
        return name_ending(Call(self.call), self.error)


Hook = Callable[[CallInfo], object]
HookT = TypeVar("HookT", bound=Callable[..., object])


def check_hook(name: str, hook: HookT | None) -> HookT | None:
    """Refuse what is no plain function: nobody would await an async one, so that it would never run."""
    # An object may be called through an async `__call__`.
    functions = (hook, getattr(hook, "__call__", None))  # noqa: B004
    is_async = any(iscoroutinefunction(function) or isasyncgenfunction(function) for function in functions)
    if hook is not None and (is_async or not callable(hook)):
        raise misconfigured(
            _("{name} must be a plain function, not an async one: nothing awaits it.", name=name),
            "config.argument",
        )
    return hook


def name_ending(call: Call, error: VavaSMSError | None) -> str:
    """Return the word for how a call ended: see `CallInfo.ending`."""
    if call.kind is not CallKind.SEND:
        return "ok" if error is None else "failed"
    outcome = Outcome.ACCEPTED if error is None else error.outcome
    # Without an outcome nobody knows it.
    return (outcome or Outcome.UNKNOWN).value


def make_span(request: Request, attempt: Attempt) -> TraceSpan:
    """Return the span of a call, all its attempts in it; one that is cut off has the outcome of its body."""
    return TraceSpan(
        f"vavasms.{request.call.value}",
        {"call": request.call.value, "recipients": len(request.recipients)},
        is_call=True,
        interrupted=lambda: attempt.outcome.value if request.call.kind is CallKind.SEND else "failed",
    )


def call_hook(hook: Hook | None, request: Request, **details: Any) -> None:
    """Call a hook. Its faults are logged and go no further: they must not lose the outcome of a send."""
    if hook is None:
        return
    recipients = len(request.recipients)
    info = CallInfo(call=request.call.value, path=request.path, recipients=recipients, **details)
    run_hook(partial(hook, info), N_("A hook failed (%s); the call goes on."))


def run_hook(hook: Callable[[], object], warning: str) -> None:
    """Call a plain hook. Its faults are logged by `warning` and go no further: see `is_fault`."""
    try:
        hook()
    except BaseException as error:
        if not is_fault(error):
            raise
        logger.warning(warning, type(error).__name__)


async def await_hook(hook: Callable[[], object], warning: str) -> None:
    """Call a hook, plain or async, as `run_hook` does. The cancellation of the running task goes through."""
    try:
        if isawaitable(told := hook()):
            await told
    except BaseException as error:
        if not is_fault(error) or is_cancelled(error):
            raise
        logger.warning(warning, type(error).__name__)


def is_fault(error: BaseException) -> bool:
    """Return whether what a plain hook raised is a fault of its own, rather than what ends the program.

    asyncio's `CancelledError` is one: nothing cancels a plain function, and it would end a task group.
    """
    # Where nobody has loaded it nobody raises it.
    asyncio = sys.modules.get("asyncio")
    return isinstance(error, Exception) or (asyncio is not None and isinstance(error, asyncio.CancelledError))


def is_cancelled(error: BaseException) -> bool:
    """Return whether an error cancels the running task, rather than something that it waited for."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        # Under trio, whose own cancellation nobody can raise by hand.
        return False
    return task is not None and task.cancelling() > 0
