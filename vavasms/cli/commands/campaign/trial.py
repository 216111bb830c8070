"""`--test-to`: the first text to one's own phone, before the go."""

from __future__ import annotations

from attrs import frozen

from vavasms.cli import exit_codes, output
from vavasms.client import AsyncVavaSMS
from vavasms.errors import Outcome, VavaSMSError
from vavasms.models import Lot
from vavasms.numbers import Msisdn


@frozen(kw_only=True)
class Trial:
    """What became of the test."""

    recipient: Msisdn
    lot: Lot | None = None
    error: VavaSMSError | None = None

    @property
    def outcome(self) -> Outcome:
        """The fate of its one message."""
        if self.error is None:
            return Outcome.ACCEPTED
        return self.error.outcome or Outcome.UNKNOWN

    @property
    def message_id(self) -> str | None:
        """The id to ask for its delivery; None where the gateway named none."""
        return self.lot.message_ids[0] if self.lot is not None and self.lot.message_ids else None


def name_end(trial: Trial | None) -> str:
    """Say what was sent where the campaign was not: nothing, or the test."""
    if trial is None:
        return "nothing was sent, and nothing of it is kept"
    test = f"the test to {trial.recipient.e164}"
    fate = f"{test} was {trial.outcome.value.replace('_', ' ')}"
    if trial.outcome is Outcome.UNKNOWN:
        fate = f"whether {test} was sent is unknown"
    return f"the campaign was not sent, and nothing of it is kept; {fate}"


def code_of_end(trial: Trial | None) -> int:
    """Choose the exit code where the campaign was not sent."""
    return (
        exit_codes.UNKNOWN if trial is not None and trial.outcome is Outcome.UNKNOWN else exit_codes.NOT_SENT
    )


async def send_trial(sms: AsyncVavaSMS, recipient: Msisdn, text: str, sender_id: str) -> Trial:
    """Send the test; its error is part of what became of it."""
    try:
        lot = await sms.send(recipient.e164, text, sender_id=sender_id)
    except VavaSMSError as error:
        return Trial(recipient=recipient, error=error.with_traceback(None))
    return Trial(recipient=recipient, lot=lot)


def show_trial(trial: Trial, *, as_json: bool) -> None:
    """Say what became of the test."""
    if as_json:
        output.print_json(
            {
                "event": "test",
                "recipient": trial.recipient,
                "outcome": trial.outcome.value,
                "message_id": trial.message_id,
                "error": None if trial.error is None else str(trial.error),
            }
        )
        return
    head = f"\nThe test to {trial.recipient.e164}: {trial.outcome.value.replace('_', ' ')}"
    if trial.error is not None:
        output.say(f"{head}. {output.clean(str(trial.error))}", style="red")
    else:
        named = f", message {output.clean(trial.message_id)}" if trial.message_id else ""
        output.say(f"{head}{named}.")
