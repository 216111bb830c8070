"""Whether a worker can work: its ledger answers, and the gateway takes its account."""

from __future__ import annotations

import time
from decimal import Decimal

import anyio
from attrs import define, field, frozen

from vavasms.endpoints import Account, fetch_balance
from vavasms.errors import LedgerError, VavaSMSError
from vavasms.health.totals_cache import TotalsCache, TotalsReading
from vavasms.ledger.base import Ledger

#: What is as it should be.
OK = "ok"
#: Nothing was read yet.
UNREAD = "unread"
#: Its run has ended, or is ending.
STOPPING = "stopping"
#: Seconds between two looks at the ledger, and after which one that does not answer is away.
_LEDGER_EVERY, _LEDGER_SILENCE = 1.0, 5.0
#: Seconds between two readings of the balance: costs nothing. After one that failed.
_BALANCE_EVERY, _BALANCE_AGAIN = 60.0, 5.0


@frozen(kw_only=True)
class Readiness:
    """Whether a worker can work, and which of its parts cannot: `ok`, or the code of an error."""

    worker: str
    ledger: str
    account: str

    @property
    def is_ready(self) -> bool:
        """Whether all of them are well."""
        return (self.worker, self.ledger, self.account) == (OK, OK, OK)


@frozen(kw_only=True)
class BalanceReading:
    """The balance of the account, XOF."""

    amount: Decimal
    #: Seconds since the epoch.
    at: float


@define(kw_only=True, eq=False)
class HealthMonitor:
    """The monitor of a worker's ledger and account, beside its work."""

    account: Account
    ledger: Ledger
    balance_every: float = _BALANCE_EVERY
    #: The last one that was read; None before.
    balance: BalanceReading | None = field(default=None, init=False)
    totals: TotalsCache = field(init=False)
    _is_stopping: bool = field(default=False, init=False)
    #: What the last look at the ledger met, and when it last answered.
    _ledger_problem: str = field(default=UNREAD, init=False)
    _answered_at: float = field(default=-float("inf"), init=False)
    _account_problem: str = field(default=UNREAD, init=False)

    def __attrs_post_init__(self) -> None:
        self.totals = TotalsCache(ledger=self.ledger, account=self.account.name)

    async def run(self) -> None:
        """Watch both until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.totals.run)
            tasks.start_soon(self._watch_account)
            while True:
                await self._check_ledger()
                await anyio.sleep(_LEDGER_EVERY)

    def stop(self) -> None:
        """Report from now on that the worker ends: nobody waits for it to be ready."""
        self._is_stopping = True

    @property
    def readiness(self) -> Readiness:
        """Whether the worker can work now."""
        ledger = self._ledger_problem
        # A file has one reader: a look waits for the end of a long reading.
        silence = _LEDGER_SILENCE + (self.totals.latest.took if self.totals.latest else 0.0)
        if ledger == OK and time.monotonic() - self._answered_at > silence:
            ledger = LedgerError.default_code
        return Readiness(
            worker=STOPPING if self._is_stopping else OK, ledger=ledger, account=self._account_problem
        )

    async def read_totals(self) -> TotalsReading | None:
        """Return the ledger's totals; None where it does not answer."""
        if self.readiness.ledger not in (OK, UNREAD):
            return None
        return await self.totals.get()

    async def _check_ledger(self) -> None:
        try:
            await self.ledger.totals.check()
            self._ledger_problem, self._answered_at = OK, time.monotonic()
        except Exception as error:  # noqa: BLE001  raised, it would end the worker's work
            self._ledger_problem = _name_problem(error)

    async def _watch_account(self) -> None:
        while True:
            try:
                balance = await fetch_balance(self.account.transport)
                self.balance = BalanceReading(amount=balance.amount, at=time.time())
                self._account_problem = OK
            except Exception as error:  # noqa: BLE001  raised, it would end the worker's work
                self._account_problem = _name_problem(error)
            await anyio.sleep(self.balance_every if self._account_problem == OK else _BALANCE_AGAIN)


def _name_problem(error: Exception) -> str:
    """Return what `vavasms explain` looks up, or the type of a fault of our own: nothing of a secret."""
    return error.error_code if isinstance(error, VavaSMSError) else type(error).__name__
