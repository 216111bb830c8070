"""What the frames of an error hold, as error pages and error trackers show it."""

from __future__ import annotations

from traceback import walk_tb

_CHAINED = ("__cause__", "__context__", "orig")


def locals_of(error: BaseException, *, but: str) -> str:
    """Return the locals of all frames of an error and of those behind it, but for those of one file."""
    waiting: list[object] = [error]
    seen: list[BaseException] = []
    shown: list[str] = []
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or any(each is other for other in seen):
            continue
        seen.append(each)
        waiting += [getattr(each, name, None) for name in _CHAINED]
        for frame, _line in walk_tb(each.__traceback__):
            if frame.f_code.co_filename != but:
                shown += [f"{frame.f_code.co_name}: {frame.f_locals!r}"]
    return "\n".join(shown)
