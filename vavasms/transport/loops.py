"""One of something for each event loop: what belongs to one loop is never touched in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from anyio.lowlevel import current_token

T = TypeVar("T")

_LIBRARY = "The client was used under another async library (asyncio or trio) before: make one for each."
_BOUND = "The client's transport belongs to another event loop: make a client for each."


class PerLoop(Generic[T]):
    """Make one of something for each event loop that asks for it.

    A script that calls `asyncio.run` again, `async_to_sync` and Celery use one client in one loop after the
    other, and threads in several at a time: a connection that was opened in another loop answers nobody here.
    What belongs to a loop that has ended is dropped, never closed: that would be a use of it.
    """

    def __init__(self, make: Callable[[], T], *, is_bound: bool = False) -> None:
        self._make = make
        #: There is one for all, which belongs to the first loop.
        self._is_bound = is_bound
        self._made: dict[Any, T] = {}
        self._library: type | None = None

    def refusal(self) -> str | None:
        """Return why there can be none in this loop; None where there can."""
        token = current_token()
        if self._library not in (None, token.backend_class):
            return _LIBRARY
        if self._is_bound and self._library is not None and token.native_token not in self._made:
            return _BOUND
        return None

    def current(self) -> T | None:
        """Return this loop's own; None where it never asked for one."""
        return self._made.get(current_token().native_token)

    def get(self) -> T:
        """Return this loop's own, made when it is first asked for. To be used where nothing refuses it."""
        token = current_token()
        mine = self._made.get(token.native_token)
        if mine is None:
            # Calls under way in another loop hold their own; trio does not tell whether a loop has ended.
            self._made = {loop: kept for loop, kept in self._made.items() if not _has_ended(loop)}
            self._library = token.backend_class
            mine = self._made[token.native_token] = self._make()
        return mine


def _has_ended(loop: Any) -> bool:
    return bool(getattr(loop, "is_closed", lambda: True)())
