"""A process that follows up the delivery of a ledger's campaigns until it is killed: run as a script.

Its arguments are the ledger's file or database, the base URL of the gateway, and the requests a second.
"""

from __future__ import annotations

import sys

import anyio

from vavasms import AsyncVavaSMS
from vavasms.campaigns.delivery_tracker import DeliveryTracker
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger


async def main(*arguments: str) -> None:
    """Track until killed."""
    place, url, rate = arguments
    is_file = place.endswith(".db")
    async with (
        AsyncVavaSMS("sandbox@example.com", "sandbox", sender_id="SANDBOX", base_url=url) as sms,
        await (SqliteLedger.open(place) if is_file else PostgresLedger.open(place)) as ledger,
    ):
        await DeliveryTracker(account=sms.account, ledger=ledger, rate=float(rate)).run()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
