"""A check before the first send of many: the balance costs nothing, and takes the way of the sends."""

from __future__ import annotations

import logging

import anyio

from vavasms.endpoints import Transport, fetch_balance
from vavasms.errors import (
    AuthenticationError,
    ConfigurationError,
    GatewayError,
    NotSentError,
    VavaSMSError,
)
from vavasms.i18n import gettext_noop as N_
from vavasms.transport.http import Attempt

logger = logging.getLogger("vavasms")

#: Seconds. A gateway that is slow to tell the balance is not one that refuses to send.
LONGEST = 30.0


async def check_balance(transport: Transport) -> VavaSMSError | None:
    """Read the balance once; return the error that every send would meet as well, None where there is none.

    That is a bare 4xx, a redirect, wrong credentials (901), no TLS, no connection. Whatever else goes wrong
    says nothing about sends. Costs nothing; ends within `LONGEST` seconds.
    """
    attempt = Attempt()
    try:
        with anyio.move_on_after(LONGEST):
            await fetch_balance(transport, attempt)
    except VavaSMSError as error:
        return error.with_traceback(None) if ends_sending(error, attempt) else None
    except Exception as error:  # noqa: BLE001  a transport's own fault: the sends will tell, with an outcome
        logger.warning(
            N_("Reading the balance first failed (%s); the sending goes on."), type(error).__name__
        )
    return None


def ends_sending(error: VavaSMSError, attempt: Attempt) -> bool:
    """Return whether a reading of the balance, made as `attempt`, failed as every send would."""
    if isinstance(error, NotSentError):
        # Without a place of its own it never tried to connect.
        return error.halts or attempt.has_begun
    if isinstance(error, AuthenticationError | ConfigurationError):
        return True
    return isinstance(error, GatewayError) and error.code is None and error.name is None
