"""What a caller may choose about a bulk send. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from attrs import frozen

from vavasms.bulk.batcher import BulkProgress
from vavasms.errors import InvalidInputError

OnProgress = Callable[[BulkProgress], object]


@frozen(kw_only=True)
class BulkOptions:
    """How to send in bulk. Raises `InvalidInputError` where a number makes no sense."""

    batch_size: int = 100
    concurrency: int = 16
    #: Messages a second; None: as fast as answers come.
    rate: float | None = None
    dedupe: bool = True
    on_progress: OnProgress | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInputError(
                    f"{name} must be a whole number, 1 or more; nothing was sent.", argument=name
                )
        rate = self.rate
        fit = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (fit and 0 < rate < math.inf):
            raise InvalidInputError(
                "rate must be a number of messages a second above 0; nothing was sent.", argument="rate"
            )
