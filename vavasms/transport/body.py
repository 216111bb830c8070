"""A request's body, which knows whether it was asked for, and what that says of an attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from vavasms.config import Secret
from vavasms.errors import Outcome
from vavasms.forks import Process


class Body:
    """A body that notes the moment it is asked for.

    httpcore asks after the headers, and never for a proxy's CONNECT. A transport may take the iterator
    early and its first chunk late: what counts is the chunk.
    """

    def __init__(self, credentials: Secret, form: str) -> None:
        self.asked = False
        #: Asked at the last moment; None: always.
        self.may_leave: Callable[[], bool] | None = None
        self._revoked = False
        self._process = Process()
        self._credentials = credentials
        self._form = form

    def __len__(self) -> int:
        # Both halves are ASCII, being form-encoded.
        return len(self._credentials.reveal()) + (len(self._form) + 1 if self._form else 0)

    def __aiter__(self) -> AsyncIterator[bytes]:
        # No async generator: one that a failed connection leaves behind warns when it is collected.
        return self

    async def __anext__(self) -> bytes:
        if self._revoked or not self._process.is_this:
            # The attempt is over and judged: a writer that comes late must not send what nobody awaits. Nor
            # must a forked child what its parent sends.
            raise OSError("the request was given up")
        if self.asked:
            raise StopAsyncIteration
        if self.may_leave is not None and not self.may_leave():
            raise OSError("it is too late for the request")
        self.asked = True
        return "&".join(filter(None, (self._credentials.reveal(), self._form))).encode("ascii")

    def revoke(self) -> None:
        """Refuse the body from now on."""
        self._revoked = True


class Attempt:
    """How far a call came, for a caller that was cancelled.

    `may_leave` says, when the body is asked for, whether it may still leave; None: it may.
    """

    __slots__ = ("_blind", "_body", "_may_leave", "process")

    def __init__(
        self, *, may_leave: Callable[[], bool] | None = None, process: Process | None = None
    ) -> None:
        #: Whose it is: a loop may go on in a forked child, which must not send what its parent does.
        self.process = process or Process()
        self._body: Body | None = None
        self._blind = False
        self._may_leave = may_leave

    @property
    def outcome(self) -> Outcome:
        """`NOT_SENT` before the body was asked for, `UNKNOWN` from then on."""
        begun = self._body is not None and (self._body.asked or self._blind)
        return Outcome.UNKNOWN if begun else Outcome.NOT_SENT

    @property
    def has_begun(self) -> bool:
        """Whether it got a place among the connections; what it did there is another matter."""
        return self._body is not None

    def forget(self) -> None:
        """Begin anew, after an attempt that is known to have sent nothing."""
        self._body = None

    def watch(self, body: Body, *, blind: bool) -> None:
        """Watch `body` from now on; `blind` where its transport cannot tell."""
        self._body, self._blind = body, blind
        body.may_leave = self._may_leave
