"""The headers of a request: the same for every call to one gateway, but for the length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from vavasms.version import __version__

T = TypeVar("T")

#: The most lengths of bodies whose headers are kept.
MAX_LENGTHS = 256


class Headers(Generic[T]):
    """Keep the headers by length: bulk bodies have few lengths, and `make` is not cheap."""

    def __init__(self, base_url: str, make: Callable[[list[tuple[bytes, bytes]]], T]) -> None:
        self._make = make
        self._by_length: dict[int, T] = {}
        self._same = [
            (b"Host", urlsplit(base_url).netloc.encode("ascii")),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Accept", b"application/json"),
            (b"User-Agent", f"vavasms/{__version__}".encode("ascii")),
        ]

    def of(self, length: int) -> T:
        """Give the headers of a body of `length` bytes."""
        found = self._by_length.get(length)
        if found is None:
            found = self._make([*self._same, (b"Content-Length", b"%d" % length)])
            if len(self._by_length) < MAX_LENGTHS:
                self._by_length[length] = found
        return found
