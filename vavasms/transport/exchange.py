"""One call: its attempts, the judgement of each, and its hooks."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from vavasms.config import Secret
from vavasms.errors import GatewayError, VavaSMSError
from vavasms.telemetry import record_request
from vavasms.transport.body import Attempt
from vavasms.transport.hooks import Hook, call_hook, check_hook, name_ending
from vavasms.transport.outcome import Failure, OutcomePolicy, Problem, Reply, judge_problem, judge_reply
from vavasms.transport.retry import RetryBudget, again
from vavasms.wire.requests import Request
from vavasms.wire.responses import Envelope

logger = logging.getLogger("vavasms")

#: Carries a request once, and returns what came of it.
Post = Callable[[Request, Attempt], Awaitable[Reply | Problem]]


class Exchange:
    """A call to the gateway, in as many attempts as the outcome table allows."""

    def __init__(
        self,
        post: Post,
        policy: OutcomePolicy,
        password: Secret,
        on_request: Hook | None,
        on_response: Hook | None,
    ) -> None:
        # With a client, not with its module: its patterns are a tenth of what importing that costs. And not
        # with a refusal, which an import that fails would make an unknown outcome.
        from vavasms.transport.redaction import scrub

        self._post = post
        self._scrub = scrub
        self._policy = policy
        self._password = password
        self._on_request = check_hook("on_request", on_request)
        self._on_response = check_hook("on_response", on_response)
        self._budget = RetryBudget()

    async def run(self, request: Request, attempt: Attempt) -> Envelope:
        """Return the envelope of a success, or raise the one error that fits."""
        result = await self._once(request, attempt)
        if isinstance(result, Failure) and result.attempts > 1:
            result = await again(result, lambda: self._once(request, attempt), self._budget)
        if isinstance(result, Failure):
            raise result.error
        return result

    async def _once(self, request: Request, attempt: Attempt) -> Envelope | Failure:
        started = time.monotonic()
        call_hook(self._on_request, request)
        reply = await self._post(request, attempt)
        result: Envelope | Failure
        if isinstance(reply, Problem):
            status, result = None, judge_problem(request, reply)
        else:
            status, result = reply.status, judge_reply(request, reply, self._policy)
        error = result.error if isinstance(result, Failure) else None
        if isinstance(error, GatewayError):
            self._scrub(error, request, self._password.reveal())
        elapsed = time.monotonic() - started
        _log(request, status, elapsed, error)
        code = "" if error is None else error.error_code
        record_request(request.call.value, name_ending(request.call, error), code, elapsed)
        call_hook(self._on_response, request, http_status=status, elapsed=elapsed, error=error)
        return result


def _log(request: Request, status: int | None, elapsed: float, error: VavaSMSError | None) -> None:
    if not logger.isEnabledFor(logging.DEBUG):
        return
    ending = type(error).__name__ if error else "ok"
    call, count = request.call.value, len(request.recipients)
    logger.debug("%s to %d recipient(s): HTTP %s in %.3f s, %s", call, count, status, elapsed, ending)
