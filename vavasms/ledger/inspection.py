"""What can be told of a ledger without opening it for use: nothing is made, changed or migrated."""

from __future__ import annotations

from attrs import frozen

from vavasms.errors import ConfigurationError

#: Seconds after which what is due, and has not been begun, waits for a worker that is not there.
OVERDUE_AFTER = 60.0


@frozen(kw_only=True)
class LedgerLoad:
    """What is under way in a ledger, and what waits."""

    #: Campaigns in the state `running`.
    running: int
    #: Requests that were claimed and are not settled: batches and single sends.
    sending: int
    #: Sends that were enqueued, are due for a while, and were not begun.
    overdue: int


@frozen(kw_only=True)
class WorkerCount:
    """The workers that a shared ledger knows of."""

    #: Those with a heartbeat of late.
    alive: int
    #: Those without.
    silent: int


@frozen(kw_only=True)
class LedgerInspection:
    """What was found in a ledger."""

    #: The version of its schema; 0 where there is none yet.
    version: int
    #: Why it cannot be used by this version of the program.
    problem: ConfigurationError | None = None
    #: None where the schema is not of this version.
    load: LedgerLoad | None = None
    #: The version of the server; None of a file.
    server: str | None = None
    #: False of a server that takes no writes, or not of this user.
    is_writable: bool = True
    #: None of a file, whose workers leave no trace while nothing is under way.
    workers: WorkerCount | None = None
