"""A process that counts codes as fast as it can, once it is told to: `python otp_process.py PLACE FIRST CALLS`."""

from __future__ import annotations

import sys
from secrets import token_hex

import anyio

from vavasms.ledger.base import Ledger
from vavasms.ledger.otp import OtpKind, OtpRequest
from vavasms.ledger.otp_limits import OtpLimits
from vavasms.numbers import Msisdn

NOW = 1_000_000.0


async def open_ledger(place: str) -> Ledger:
    if place.startswith("postgresql://"):
        from vavasms.ledger.postgres.ledger import PostgresLedger

        return await PostgresLedger.open(place, connections=2)
    from vavasms.ledger.sqlite.ledger import SqliteLedger

    return await SqliteLedger.open(place)


async def main(place: str, account: str, first: int, calls: int) -> None:
    ledger = await open_ledger(place)
    limits = OtpLimits(cool_down=None, number_hourly=3, client_hourly=17, range_hourly=10, segments_daily=19)
    print("ready", flush=True)
    sys.stdin.readline()
    for call in range(calls):
        number = first + 25 * (call % 8)
        request = OtpRequest(
            account=account,
            kind=OtpKind.CODE,
            token=token_hex(8),
            recipient=Msisdn(number),
            # Each third one names nobody.
            client="203.0.113.7" if call % 3 else None,
            segments=1,
        )
        refusal = await ledger.otp.take(request, limits, now=NOW)
        print(number, request.client, "refused" if refusal else "sent", flush=True)
    guess = OtpLimits(wrong_codes=5)
    for _ in range(calls // 4):
        request = OtpRequest(account=account, kind=OtpKind.GUESS, token=token_hex(8), recipient=Msisdn(first))
        refusal = await ledger.otp.take(request, guess, now=NOW)
        print("guess", None, "refused" if refusal else "tried", flush=True)
    await ledger.aclose()


if __name__ == "__main__":
    place, account, first, calls = sys.argv[1:]
    anyio.run(main, place, account, int(first), int(calls))
