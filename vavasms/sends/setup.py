"""What a client with a ledger or with limits is made of. Imported where it has one, and not before."""

from __future__ import annotations

from vavasms.config import misconfigured
from vavasms.endpoints import Account
from vavasms.i18n import gettext as _
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.sends.base import Otps, Sends
from vavasms.sends.client import ClientSends
from vavasms.sends.client import SendOptions as SendOptions
from vavasms.sends.otp_counter import OtpGuard
from vavasms.sends.otps import KeptOtps, UnkeptOtps


def set_up(
    account: Account, options: SendOptions | None, limits: OtpLimits | None
) -> tuple[Sends | None, Otps | None]:
    """Return the single sends and the one-time codes of a client.

    Raises `ConfigurationError` for what is no ledger, or no limits.
    """
    if limits is not None and not isinstance(limits, OtpLimits):
        raise misconfigured(_("otp_limits is OtpLimits(…), or None."), "config.argument")
    guard = None
    if limits is not None:
        guard = OtpGuard(limits=limits, account=account.name, region=account.region)
    if options is not None:
        sends = ClientSends(
            options, account=account.name, transport=account.transport, timeouts=account.timeouts
        )
        return sends, KeptOtps(account.transport, sends, guard)
    return None, None if guard is None else UnkeptOtps(account.transport, guard)
