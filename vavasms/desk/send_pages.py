"""The page of single sends, and the decision on those that are unknown."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vavasms.campaigns.words import MARKED_AS_SENT, TAKEN_BACK
from vavasms.desk.page import Pages, go, typed
from vavasms.desk.words import STATES
from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _
from vavasms.ledger.send_record import SendRecord
from vavasms.ledger.states import BatchState

_SHOWN = 100


@define(eq=False)
class SendPages:
    """The handlers."""

    pages: Pages

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/sends", self.show, methods=["GET"]),
            Route("/sends", self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Return the latest sends, those that a person must decide on first."""
        unknown = await self._read((BatchState.UNKNOWN,))
        latest = await self._read(tuple(BatchState))
        return self.pages.render(
            request,
            "sends.html",
            unknown=unknown[:_SHOWN],
            records=latest[:_SHOWN],
            has_more=len(latest) > _SHOWN,
            states=STATES,
            attempt=write_attempt,
        )

    async def _read(self, states: Sequence[BatchState]) -> Sequence[SendRecord]:
        desk = self.pages.desk
        # What a process that died had under way is unknown from now on.
        await desk.ledger.sends.reap(now=await desk.now())
        return await desk.ledger.sends.records(None, states=states, since=0.0, limit=_SHOWN + 1)

    async def decide(self, request: Request) -> Response:
        """Decide on a send that is unknown."""
        is_sent, is_again = (typed(request, "decision") == word for word in ("sent", "again"))
        if not is_sent and not (is_again and typed(request, "sure")):
            sentence = _("Tick the box first: who has the SMS gets a second one. Nothing was changed.")
            self.pages.say(request, sentence, is_error=True)
            return go("/sends")

        async def work() -> None:
            desk, account, key = self.pages.desk, typed(request, "account"), typed(request, "key")
            record = await desk.ledger.sends.find(account, key)
            if record is not None and write_attempt(record) != typed(request, "attempt"):
                raise InvalidInputError(
                    _("This send was tried again since: look at it anew. Nothing was changed."),
                    error_code="desk.stale_page",
                )
            await desk.ledger.sends.resolve(
                account,
                key,
                sent=is_sent,
                # The text of the others is their callers', who send it anew with its key.
                again=typed(request, "again") == "yes" and not is_sent,
                note=MARKED_AS_SENT if is_sent else TAKEN_BACK,
                now=await desk.now(),
            )

        return await self.pages.act(request, "/sends", work)


def write_attempt(record: SendRecord) -> str:
    """Write which attempt of a send is shown, exactly."""
    return "" if record.sent_at is None else record.sent_at.hex()
