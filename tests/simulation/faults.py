"""What can go wrong in a simulation, and when: values that a plan is a list of. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Event(Enum):
    """The moments that faults are counted by, over all processes of a simulation."""

    #: A connection is asked for.
    CONNECT = "connect"
    #: The bytes of a send leave a client.
    SEND = "send"
    #: The bytes of a question for the balance leave a client.
    BALANCE = "balance"
    #: The gateway begins to answer a send, and a question for the balance.
    REQUEST = "request"
    READING = "reading"
    #: The gateway accepted a send.
    ACCEPT = "accept"
    #: A process hands work to a thread: it reads or writes its ledger.
    JOB = "job"
    #: A process commits.
    COMMIT = "commit"
    #: In a transaction something is claimed to be sent, or what became of it is written.
    CLAIM = "claim"
    SETTLE = "settle"
    #: A process writes beside its ledger which generation the file has.
    FILE = "file"
    #: A process begins.
    START = "start"


class FaultKind(Enum):
    """What goes wrong."""

    #: The connection is refused, or nobody answers it.
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    #: The connection breaks at a byte of the request, or of the reply: reset, or closed.
    CUT_REQUEST = "cut_request"
    CUT_REPLY = "cut_reply"
    #: From a byte on nothing arrives any more.
    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    #: The bytes arrive late.
    LATE_REQUEST = "late_request"
    LATE_REPLY = "late_reply"
    #: The gateway's own: see `vavasms.sandbox.FaultKind`.
    GATEWAY = "gateway"
    #: The gateway's answer to what it accepted lacks one of the message ids.
    ID_MISSING = "id_missing"
    #: The gateway refuses connections for some seconds, and drops those there are.
    GATEWAY_DOWN = "gateway_down"
    #: The gateway refuses the password for some seconds.
    ACCOUNT_REFUSED = "account_refused"
    #: The process dies.
    CRASH = "crash"
    #: It dies in the middle of a transaction.
    CRASH_IN_JOB = "crash_in_job"
    #: Whoever called is cancelled: by a scope, or by asyncio itself.
    CANCEL = "cancel"
    CANCEL_NATIVE = "cancel_native"
    #: The disk fails at a statement, or has no room, for some seconds.
    DISK_ERROR = "disk_error"
    DISK_FULL = "disk_full"
    #: A commit happens, and its answer is an error.
    COMMIT_LOST = "commit_lost"
    #: The disk takes long.
    DISK_SLOW = "disk_slow"
    #: The clock is set, and the machine suspended.
    CLOCK_SET = "clock_set"
    SUSPENDED = "suspended"


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong, at the `nth` event of its kind."""

    kind: FaultKind
    event: Event
    #: From 0.
    nth: int
    #: So many callbacks of the process later.
    after: int = 0
    #: For how long, or by how much, in seconds.
    seconds: float = 0.0
    #: Where in a request, a reply or a transaction: 0 to 1.
    place: float = 0.0
    #: Which of the variants of its kind.
    variant: int = 0

    @property
    def fails_reading(self) -> bool:
        """Whether a disk that fails cannot be read either."""
        return self.kind is FaultKind.DISK_ERROR and self.variant == 1

    def __str__(self) -> str:
        words = [f"{self.kind.value} at {self.event.value} {self.nth}"]
        words += [f"+{self.after} callbacks"] if self.after else []
        words += [f"{self.seconds:.3f} s"] if self.seconds else []
        words += [f"place {self.place:.3f}"] if self.place else []
        words += [f"variant {self.variant}"] if self.variant else []
        return ", ".join(words)
