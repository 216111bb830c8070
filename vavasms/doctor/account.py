"""The account: what the settings say of it, and what the gateway says to its name and password."""

from __future__ import annotations

import anyio

from vavasms.client import AsyncVavaSMS
from vavasms.doctor.findings import PATIENCE, Finding, caution, good, misset, unreached
from vavasms.errors import AuthenticationError, ConfigurationError, InvalidSenderIdError, VavaSMSError
from vavasms.i18n import format_number, translate
from vavasms.i18n import gettext as _
from vavasms.wire.requests import draft_text


async def check_credentials(client: AsyncVavaSMS) -> Finding:
    """Return whether the gateway takes the name and the password: asking for the balance is free."""
    problem: VavaSMSError | None = None
    with anyio.move_on_after(PATIENCE):
        try:
            balance = await client.balance()
        except VavaSMSError as error:
            problem = error
        else:
            amount = f"{format_number(balance.amount)} {balance.currency}"
            if balance.amount > 0:
                return good(
                    "credentials", _("The gateway takes them; the balance is {amount}.", amount=amount)
                )
            return caution(
                "credentials",
                _("The gateway takes them, and the account has no credit ({amount}).", amount=amount),
                _("Top up the account before you send."),
            )
    return _judge(problem)


def _judge(problem: VavaSMSError | None) -> Finding:
    if problem is None:
        return unreached(
            "credentials",
            _("The gateway was asked for the balance and did not answer in time."),
            _("Wait and try again; if it lasts, write to the gateway's support."),
        )
    if isinstance(problem, AuthenticationError):
        return misset(
            "credentials",
            _("The gateway refuses the name or the password (901)."),
            _(
                "Check VAVASMS_USERNAME and VAVASMS_PASSWORD: the environment comes before .env, and both "
                "before the keyring."
            ),
        )
    sentence = translate(problem.args[0])
    step = _("`vavasms explain {code}` says more.", code=problem.error_code)
    if isinstance(problem, ConfigurationError):
        return misset("credentials", sentence, step)
    return unreached("credentials", sentence, step)


def check_sender(sender_id: str | None, username: str | None) -> Finding:
    """Return whether the sender has a sender's form. Whether the gateway knows it only a send tells."""
    if not sender_id:
        return caution(
            "sender",
            _("No sender is set."),
            _("Set VAVASMS_SENDER_ID, or name one with each send (--sender-id)."),
        )
    try:
        draft_text("-", sender_id, username=username)
    except InvalidSenderIdError as error:
        sentence = translate(error.args[0])
    else:
        return good(
            "sender",
            _("It has a sender's form. Whether the gateway knows it, only a send tells (902)."),
        )
    return misset("sender", sentence, _("Correct VAVASMS_SENDER_ID."))
