"""Undo the encoding of a reply that nobody asked for, and tell one that is not whole. Pure.

httpx gives what a compressed body begins with, whether it is cut or something follows: what it leaves out may
be the success behind a refusal.
"""

from __future__ import annotations

import zlib

#: By the names of `Content-Encoding`, the ways of zlib to read them: gzip's, its own, and the bare one.
_WINDOWS = {
    "gzip": (zlib.MAX_WBITS + 16,),
    "x-gzip": (zlib.MAX_WBITS + 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


def decode(body: bytes, encodings: str | None, limit: int) -> bytes | None:
    """Return a body decoded; None where it is cut, broken, too long, or followed by anything.

    What zlib does not know stays as it is: PHP sites name charsets there.
    """
    for name in reversed((encodings or "").lower().split(",")):
        windows = _WINDOWS.get(name.strip())
        if windows is None or not body:
            continue
        found = [plain for window in windows if (plain := _inflate(body, window, limit)) is not None]
        if not found:
            return None
        body = found[0]
    return body


def _inflate(body: bytes, window: int, limit: int) -> bytes | None:
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, limit)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None
