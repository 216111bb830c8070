"""The answers of handsets: what the platform would post to the customer's own URL."""

from __future__ import annotations

import ipaddress
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from vavasms.i18n import gettext as _
from vavasms.sandbox.faults import SandboxError

#: Posts a form to a URL, gives the HTTP status, raises where no answer came.
PostForm = Callable[[str, Mapping[str, str]], Awaitable[int]]

_KEPT = 2_000


def _plain(_inbound: Inbound, _attribute: Attribute[str], url: str) -> None:
    """Refuse what is no plain http(s) URL."""
    odd = any(character <= " " or character in "\\@\x7f" for character in url)
    try:
        parts = urlsplit(url)
        if not odd and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return
    except ValueError:
        # A broken address in brackets, a port beyond 65535.
        pass
    raise SandboxError(
        _("the inbound URL is like http://127.0.0.1:8426/token"), error_code="sandbox.inbound_url"
    )


@frozen(kw_only=True)
class Inbound:
    """Where replies of a handset are posted to, and by what."""

    #: The customer's URL, on loopback. Its path may be a secret: it is not shown.
    url: str = field(validator=_plain, repr=False)
    #: Posts the form; the sandbox itself reaches out to nobody.
    post: PostForm
    #: Whether the URL may be elsewhere than on loopback.
    allow_remote: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse other machines unless they are allowed."""
        if not self.allow_remote and not _is_loopback(urlsplit(self.url).hostname or ""):
            raise SandboxError(
                _("the inbound URL is on loopback (127.0.0.1, ::1, localhost), unless others are allowed"),
                error_code="sandbox.inbound_url",
            )

    @property
    def place(self) -> str:
        """Return scheme, host and port, which may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/…"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@frozen(kw_only=True)
class SentReply:
    """A reply and what became of it."""

    message_id: str
    #: The handset's.
    phone: str
    text: str
    #: When it was posted (seconds since the epoch).
    time: float
    #: The number of the newest message that the handset had then; 0: none.
    after: int
    #: How often the journal had been cleared then.
    generation: int
    #: The HTTP status that came back; None: none came.
    status: int | None
    #: The name of what went wrong where no status came; empty otherwise.
    error: str


class Handset:
    """The sender of replies, which remembers the last 2,000 of them; safe between threads."""

    def __init__(self, inbound: Inbound | None) -> None:
        self.inbound = inbound
        self._lock = threading.Lock()
        self._replies: deque[SentReply] = deque(maxlen=_KEPT)

    def replies(self, phone: str, generation: int) -> list[SentReply]:
        """Return the replies of a handset, oldest first, since the journal was cleared that often."""
        with self._lock:
            return [
                reply for reply in self._replies if (reply.phone, reply.generation) == (phone, generation)
            ]

    async def reply(self, phone: str, text: str, *, after: int, generation: int) -> SentReply:
        """Post a reply; whatever came of it is told, not raised."""
        if self.inbound is None:
            raise SandboxError(
                "there is no inbound URL to post to: vavasms sandbox --inbound-url URL",
                error_code="sandbox.inbound_url",
            )
        # Ids must differ between two runs of the sandbox: a receiver remembers them.
        message_id, now = f"MO-{secrets.token_hex(8).upper()}", time.time()
        # The form of the date is not documented.
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        form = {"message_id": message_id, "form": phone, "content": text, "sms_date": date}
        status, error = await _post(self.inbound, form)
        sent = SentReply(
            message_id=message_id,
            phone=phone,
            text=text,
            time=now,
            after=after,
            generation=generation,
            status=status,
            error=error,
        )
        with self._lock:
            self._replies.append(sent)
        return sent


async def _post(inbound: Inbound, form: Mapping[str, str]) -> tuple[int | None, str]:
    try:
        return await inbound.post(inbound.url, form), ""
    except Exception as error:  # noqa: BLE001 - its words may hold the URL: its name is shown
        return None, type(error).__name__
