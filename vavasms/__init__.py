"""The VavaSMS gateway, async first: no SMS sent twice, none lost, no outcome guessed.

Names are imported when first used (PEP 562), so that `import vavasms` and `vavasms --help` cost little.
Type checkers read `__init__.pyi`; a test holds the two together.
"""

from importlib import import_module

_NAMES_BY_MODULE = {
    "vavasms.bulk.models": ("BatchResult", "BulkProgress", "BulkReport", "InvalidRecipient"),
    "vavasms.sync.bulk": ("BulkResults",),
    "vavasms.bulk.sender": ("BulkStream",),
    "vavasms.sync.campaigns": ("BlockingCampaignRunner",),
    "vavasms.ledger.sqlite.memory": ("MemoryLedger",),
    "vavasms.ledger.base": ("Ledger",),
    "vavasms.ledger.models": ("Campaign", "CampaignStatus", "Delivery", "OptOut", "StoredBatch"),
    "vavasms.ledger.otp_limits": ("OtpLimits",),
    "vavasms.ledger.send_record": ("SendKind", "SendRecord"),
    "vavasms.ledger.sqlite.ledger": ("SqliteLedger",),
    "vavasms.ledger.states": ("BatchState", "CampaignState"),
    "vavasms.campaigns.planning.plan": ("CampaignPlan",),
    "vavasms.campaigns.policy": ("Policy", "Window", "parse_window"),
    "vavasms.campaigns.report": ("RecipientReport", "read_report"),
    "vavasms.campaigns.runner": ("CampaignRun", "CampaignRunner"),
    "vavasms.client": ("AsyncVavaSMS",),
    "vavasms.config": ("Timeouts",),
    "vavasms.errors": (
        "AuthenticationError",
        "ConfigurationError",
        "GatewayError",
        "IdempotencyConflictError",
        "InvalidInputError",
        "InvalidMessageError",
        "InvalidNumberError",
        "InvalidOtpTemplateError",
        "InvalidSenderIdError",
        "LedgerBusyError",
        "LedgerError",
        "MessageNotFoundError",
        "NotSentError",
        "OtpLimit",
        "OtpLimitedError",
        "Outcome",
        "OutcomeUnknownError",
        "RateLimitedError",
        "RejectedNumberError",
        "SendInProgressError",
        "ServerError",
        "UnexpectedReplyError",
        "UnknownSenderIdError",
        "VavaSMSError",
    ),
    "vavasms.inbound.asgi": ("InboundApp",),
    "vavasms.inbound.optout.asgi": ("OptOutApp",),
    "vavasms.inbound.parse": ("parse_inbound",),
    "vavasms.inbound.seen.base": ("SeenStore",),
    "vavasms.inbound.seen.memory": ("MemorySeenStore",),
    "vavasms.inbound.seen.sqlite": ("SqliteSeenStore",),
    "vavasms.inbound.tokens": ("HideToken", "make_token"),
    "vavasms.models": (
        "Balance",
        "DeliveryReport",
        "DeliveryStatus",
        "InboundMessage",
        "Lot",
        "OtpReason",
        "OtpReceipt",
        "OtpVerification",
    ),
    "vavasms.numbers": ("Msisdn", "NumberFault", "parse_msisdn"),
    "vavasms.profile.models": ("GatewayProfile", "Oversize"),
    "vavasms.sends.outbox_worker": ("OutboxWorker",),
    "vavasms.sync.client": ("VavaSMS",),
    "vavasms.text.folding": ("fold_to_gsm7",),
    "vavasms.text.segments": ("Encoding", "Segmentation", "count_segments"),
    "vavasms.transport.hooks": ("CallInfo", "Hook"),
    "vavasms.version": ("__version__",),
}
#: These need an extra: `from vavasms import *` must do without.
_EXTRA_NAMES_BY_MODULE = {
    "vavasms.ledger.postgres.ledger": ("PostgresLedger",),
    "vavasms.campaigns.workers.worker": ("CampaignWorker",),
    "vavasms.inbound.seen.postgres": ("PostgresSeenStore",),
}
_MODULE_OF = {
    name: module for module, names in {**_NAMES_BY_MODULE, **_EXTRA_NAMES_BY_MODULE}.items() for name in names
}

__all__ = sorted(name for names in _NAMES_BY_MODULE.values() for name in names)


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
