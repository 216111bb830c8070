from vavasms.bulk.models import BatchResult as BatchResult
from vavasms.bulk.models import BulkProgress as BulkProgress
from vavasms.bulk.models import BulkReport as BulkReport
from vavasms.bulk.models import InvalidRecipient as InvalidRecipient
from vavasms.bulk.sender import BulkStream as BulkStream
from vavasms.campaigns.planning.plan import CampaignPlan as CampaignPlan
from vavasms.campaigns.policy import Policy as Policy
from vavasms.campaigns.policy import Window as Window
from vavasms.campaigns.policy import parse_window as parse_window
from vavasms.campaigns.report import RecipientReport as RecipientReport
from vavasms.campaigns.report import read_report as read_report
from vavasms.campaigns.runner import CampaignRun as CampaignRun
from vavasms.campaigns.runner import CampaignRunner as CampaignRunner
from vavasms.campaigns.workers.worker import CampaignWorker as CampaignWorker
from vavasms.client import AsyncVavaSMS as AsyncVavaSMS
from vavasms.config import Timeouts as Timeouts
from vavasms.errors import (
    AuthenticationError as AuthenticationError,
)
from vavasms.errors import (
    ConfigurationError as ConfigurationError,
)
from vavasms.errors import (
    GatewayError as GatewayError,
)
from vavasms.errors import (
    IdempotencyConflictError as IdempotencyConflictError,
)
from vavasms.errors import (
    InvalidInputError as InvalidInputError,
)
from vavasms.errors import (
    InvalidMessageError as InvalidMessageError,
)
from vavasms.errors import (
    InvalidNumberError as InvalidNumberError,
)
from vavasms.errors import (
    InvalidOtpTemplateError as InvalidOtpTemplateError,
)
from vavasms.errors import (
    InvalidSenderIdError as InvalidSenderIdError,
)
from vavasms.errors import LedgerBusyError as LedgerBusyError
from vavasms.errors import LedgerError as LedgerError
from vavasms.errors import (
    MessageNotFoundError as MessageNotFoundError,
)
from vavasms.errors import (
    NotSentError as NotSentError,
)
from vavasms.errors import OtpLimit as OtpLimit
from vavasms.errors import OtpLimitedError as OtpLimitedError
from vavasms.errors import (
    Outcome as Outcome,
)
from vavasms.errors import (
    OutcomeUnknownError as OutcomeUnknownError,
)
from vavasms.errors import (
    RateLimitedError as RateLimitedError,
)
from vavasms.errors import (
    RejectedNumberError as RejectedNumberError,
)
from vavasms.errors import (
    SendInProgressError as SendInProgressError,
)
from vavasms.errors import (
    ServerError as ServerError,
)
from vavasms.errors import (
    UnexpectedReplyError as UnexpectedReplyError,
)
from vavasms.errors import (
    UnknownSenderIdError as UnknownSenderIdError,
)
from vavasms.errors import (
    VavaSMSError as VavaSMSError,
)
from vavasms.inbound.asgi import InboundApp as InboundApp
from vavasms.inbound.optout.asgi import OptOutApp as OptOutApp
from vavasms.inbound.parse import parse_inbound as parse_inbound
from vavasms.inbound.seen.base import SeenStore as SeenStore
from vavasms.inbound.seen.memory import MemorySeenStore as MemorySeenStore
from vavasms.inbound.seen.postgres import PostgresSeenStore as PostgresSeenStore
from vavasms.inbound.seen.sqlite import SqliteSeenStore as SqliteSeenStore
from vavasms.inbound.tokens import HideToken as HideToken
from vavasms.inbound.tokens import make_token as make_token
from vavasms.ledger.base import Ledger as Ledger
from vavasms.ledger.models import Campaign as Campaign
from vavasms.ledger.models import CampaignStatus as CampaignStatus
from vavasms.ledger.models import Delivery as Delivery
from vavasms.ledger.models import OptOut as OptOut
from vavasms.ledger.models import StoredBatch as StoredBatch
from vavasms.ledger.otp_limits import OtpLimits as OtpLimits
from vavasms.ledger.postgres.ledger import PostgresLedger as PostgresLedger
from vavasms.ledger.send_record import SendKind as SendKind
from vavasms.ledger.send_record import SendRecord as SendRecord
from vavasms.ledger.sqlite.ledger import SqliteLedger as SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger as MemoryLedger
from vavasms.ledger.states import BatchState as BatchState
from vavasms.ledger.states import CampaignState as CampaignState
from vavasms.models import (
    Balance as Balance,
)
from vavasms.models import (
    DeliveryReport as DeliveryReport,
)
from vavasms.models import (
    DeliveryStatus as DeliveryStatus,
)
from vavasms.models import (
    InboundMessage as InboundMessage,
)
from vavasms.models import (
    Lot as Lot,
)
from vavasms.models import (
    OtpReason as OtpReason,
)
from vavasms.models import (
    OtpReceipt as OtpReceipt,
)
from vavasms.models import (
    OtpVerification as OtpVerification,
)
from vavasms.numbers import Msisdn as Msisdn
from vavasms.numbers import NumberFault as NumberFault
from vavasms.numbers import parse_msisdn as parse_msisdn
from vavasms.profile.models import GatewayProfile as GatewayProfile
from vavasms.profile.models import Oversize as Oversize
from vavasms.sends.outbox_worker import OutboxWorker as OutboxWorker
from vavasms.sync.bulk import BulkResults as BulkResults
from vavasms.sync.campaigns import BlockingCampaignRunner as BlockingCampaignRunner
from vavasms.sync.client import VavaSMS as VavaSMS
from vavasms.text.folding import fold_to_gsm7 as fold_to_gsm7
from vavasms.text.segments import Encoding as Encoding
from vavasms.text.segments import Segmentation as Segmentation
from vavasms.text.segments import count_segments as count_segments
from vavasms.transport.hooks import CallInfo as CallInfo
from vavasms.transport.hooks import Hook as Hook
from vavasms.version import __version__ as __version__

__all__ = [
    "AsyncVavaSMS",
    "AuthenticationError",
    "Balance",
    "BatchResult",
    "BatchState",
    "BlockingCampaignRunner",
    "BulkProgress",
    "BulkReport",
    "BulkResults",
    "BulkStream",
    "CallInfo",
    "Campaign",
    "CampaignPlan",
    "CampaignRun",
    "CampaignRunner",
    "CampaignState",
    "CampaignStatus",
    "ConfigurationError",
    "Delivery",
    "DeliveryReport",
    "DeliveryStatus",
    "Encoding",
    "GatewayError",
    "GatewayProfile",
    "HideToken",
    "Hook",
    "IdempotencyConflictError",
    "InboundApp",
    "InboundMessage",
    "InvalidInputError",
    "InvalidMessageError",
    "InvalidNumberError",
    "InvalidOtpTemplateError",
    "InvalidRecipient",
    "InvalidSenderIdError",
    "Ledger",
    "LedgerBusyError",
    "LedgerError",
    "Lot",
    "MemoryLedger",
    "MemorySeenStore",
    "MessageNotFoundError",
    "Msisdn",
    "NotSentError",
    "NumberFault",
    "OptOut",
    "OptOutApp",
    "OtpLimit",
    "OtpLimitedError",
    "OtpLimits",
    "OtpReason",
    "OtpReceipt",
    "OtpVerification",
    "OutboxWorker",
    "Outcome",
    "OutcomeUnknownError",
    "Oversize",
    "Policy",
    "RateLimitedError",
    "RecipientReport",
    "RejectedNumberError",
    "SeenStore",
    "Segmentation",
    "SendInProgressError",
    "SendKind",
    "SendRecord",
    "ServerError",
    "SqliteLedger",
    "SqliteSeenStore",
    "StoredBatch",
    "Timeouts",
    "UnexpectedReplyError",
    "UnknownSenderIdError",
    "VavaSMS",
    "VavaSMSError",
    "Window",
    "__version__",
    "count_segments",
    "fold_to_gsm7",
    "make_token",
    "parse_inbound",
    "parse_msisdn",
    "parse_window",
    "read_report",
]
