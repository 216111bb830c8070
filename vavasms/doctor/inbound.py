"""Whether the URL of a receiver of inbound SMS is reached from here."""

from __future__ import annotations

from http import HTTPStatus

from vavasms.config import Secret, is_loopback
from vavasms.doctor.findings import PATIENCE, Finding, caution, good, misset, skipped, unreached
from vavasms.doctor.network import find_addresses, read_parts, show_host
from vavasms.i18n import gettext as _
from vavasms.transport.http import HostReply, fetch_head

_SETTING = "VAVASMS_INBOUND_URL"


async def check_inbound(url: Secret | None) -> Finding:
    """Return whether a receiver answers at a URL, which holds its token. It is asked, and posted nothing."""
    if url is None:
        return skipped("inbound", _("no URL is set ({setting} or --inbound-url)", setting=_SETTING))
    parts = read_parts(url.reveal())
    if parts is None:
        return misset(
            "inbound",
            _("The URL of the receiver cannot be read."),
            _("Correct {setting}.", setting=_SETTING),
        )
    host = parts.hostname or ""
    return _judge(await _ask(url, host), f"{parts.scheme}://{show_host(parts)}/…", host)


async def _ask(url: Secret, host: str) -> HostReply:
    try:
        await find_addresses(host)
    except TimeoutError as error:
        return HostReply(problem=type(error).__name__)
    # The platform comes without a proxy of ours.
    return await fetch_head(url.reveal(), trust_env=False, timeout=PATIENCE)


def _judge(reply: HostReply, receiver: str, host: str) -> Finding:
    if reply.refused_by_tls:
        return unreached(
            "inbound",
            _("The certificate of {receiver} is refused here.", receiver=receiver),
            _("Get the receiver a certificate of an authority that the platform knows; renew it in time."),
        )
    if reply.status is None:
        return unreached(
            "inbound",
            _("Nobody answers at {receiver} ({why}).", receiver=receiver, why=reply.problem),
            _("Start the receiver (`vavasms inbound listen`, or your application), and check host and port."),
        )
    if reply.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        return unreached(
            "inbound",
            _(
                "{receiver} answers, and knows no such path (HTTP {status}).",
                receiver=receiver,
                status=str(reply.status),
            ),
            _("Check the path and the token in {setting}: the receiver has another one.", setting=_SETTING),
        )
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return caution(
            "inbound",
            _(
                "{receiver} answers that it fails (HTTP {status}).",
                receiver=receiver,
                status=str(reply.status),
            ),
            _("See the receiver's log."),
        )
    if reply.status in range(HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.BAD_REQUEST):
        return caution(
            "inbound",
            _("{receiver} sends elsewhere (HTTP {status}).", receiver=receiver, status=str(reply.status)),
            _("Name in {setting}, and to the platform, the URL that it sends to.", setting=_SETTING),
        )
    if is_loopback(host):
        return good(
            "inbound",
            _("{receiver} answers; the platform cannot reach this machine by it.", receiver=receiver),
        )
    return good(
        "inbound", _("{receiver} answers from here; from the platform only an SMS tells.", receiver=receiver)
    )
