"""Stand in for the VavaSMS gateway: a second, independent reading of its documentation.

Needs the extra: `pip install "vavasms[sandbox]"`.
"""

from __future__ import annotations

from vavasms.sandbox.app import create_app
from vavasms.sandbox.faults import Fault, FaultKind, FaultPlan, Moment, SandboxError
from vavasms.sandbox.gateway import Gateway
from vavasms.sandbox.inbox import Inbound
from vavasms.sandbox.journal import Entry, InboxMessage, Journal, Kind
from vavasms.sandbox.magic import MAGIC_NUMBERS, MagicNumber
from vavasms.sandbox.replies import Answer
from vavasms.sandbox.rules import GatewayRules
from vavasms.sandbox.server import SandboxServer, serve

__all__ = [
    "MAGIC_NUMBERS",
    "Answer",
    "Entry",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Gateway",
    "GatewayRules",
    "Inbound",
    "InboxMessage",
    "Journal",
    "Kind",
    "MagicNumber",
    "Moment",
    "SandboxError",
    "SandboxServer",
    "create_app",
    "serve",
]
