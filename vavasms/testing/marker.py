"""What a test asks for by `@pytest.mark.vavasms(…)`. Imported at the start of every run: pytest alone."""

from __future__ import annotations

from typing import NamedTuple

import pytest

MARKER = (
    "vavasms(*, in_process=False, real=False): in_process gives the fixture vavasms_sandbox without a "
    "server; real lets this test reach the real gateway, which costs money."
)


class MarkerOptions(NamedTuple):
    """The options of the marker."""

    #: A sandbox without a server.
    in_process: bool = False
    #: The test may reach the real gateway.
    real: bool = False


def marker_options(item: pytest.Item) -> MarkerOptions:
    """Join the markers of a test, its class and its module, the nearest last.

    Raises `UsageError` for options that the marker does not know.
    """
    options: dict[str, bool] = {}
    for mark in reversed(list(item.iter_markers("vavasms"))):
        if mark.args or not set(mark.kwargs) <= set(MarkerOptions._fields):
            raise pytest.UsageError(
                f"{item.nodeid}: the marker is vavasms(in_process=True) or vavasms(real=True)."
            )
        options |= mark.kwargs
    return MarkerOptions(**options)
