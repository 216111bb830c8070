"""What the receiver answers. Pure."""

from __future__ import annotations

from attrs import frozen

#: Bytes of a body at most; the documentation's four fields need some hundreds.
MAX_BODY = 65_536


@frozen(kw_only=True)
class WebhookReply:
    """An answer to the platform: a status and one plain sentence."""

    status: int
    text: str
    #: Of its own, beside the type and the length.
    headers: tuple[tuple[str, str], ...] = ()
    #: The connection is of no further use: what is left of the body was not read.
    closes: bool = False


HANDLED = WebhookReply(status=200, text="Handled.")
#: The same for a wrong token, another path and an address that is not let in: nobody learns which it was.
NOT_FOUND = WebhookReply(status=404, text="There is nothing here.")
ONLY_POST = WebhookReply(status=405, text="Inbound SMS are posted.", headers=(("allow", "POST"),))
TOO_SLOW = WebhookReply(status=408, text="The body took too long.", closes=True)
TOO_LARGE = WebhookReply(status=413, text=f"The body is larger than {MAX_BODY // 1024} KiB.", closes=True)
FAILED = WebhookReply(status=500, text="It was not handled: send it again.")
BUSY = WebhookReply(
    status=503, text="It is still being handled: send it again later.", headers=(("retry-after", "30"),)
)


def bad_request(sentence: str) -> WebhookReply:
    """Refuse a body that is no inbound SMS."""
    return WebhookReply(status=400, text=sentence)
