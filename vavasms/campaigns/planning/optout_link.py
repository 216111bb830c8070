"""`{desinscription}` in a message: the link to the page where its recipient opts out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from vavasms.campaigns.planning.contacts.columns import find_named_column
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.config import is_loopback
from vavasms.errors import InvalidInputError, InvalidMessageError
from vavasms.i18n import Argument
from vavasms.i18n import gettext as _
from vavasms.ledger.base import Ledger
from vavasms.ledger.optout_codes import CODE_MARK, EXAMPLE
from vavasms.numbers import Msisdn

#: Accents, case and punctuation do not count, as in the name of a column.
LINK_NAME = "desinscription"
_OPTION = Argument.make("opt_out_url='https://sms.example.ci/d/'", "--opt-out-url https://sms.example.ci/d/")
#: All of GSM-7, so that the link changes no text's encoding.
_is_path = re.compile(r"[\w.~%:/-]+", re.ASCII).fullmatch


def parse_opt_out_url(url: str) -> str:
    """Return the URL that codes are put behind, with the slash at its end.

    Raises `InvalidInputError` for what is no https, save on this machine, and for one with a query.
    """
    address = url.strip() if isinstance(url, str) else ""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    is_safe = host is not None and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
    if is_safe and _is_path(address) and not address.endswith(":"):
        return address if address.endswith("/") else f"{address}/"
    raise InvalidInputError(
        _(
            "{url} is no address of an opt-out page: write it like https://sms.example.ci/d/, in https and "
            "without accents, ? or #. Nothing was sent.",
            url=repr(url)[:80],
        ),
        error_code="message.opt_out_url",
    )


def names_link(name: str) -> bool:
    """Return whether braces with this name in them stand for the link."""
    return find_named_column((LINK_NAME,), name) is not None


def make_link(columns: Sequence[str], url: str | None, *, is_bare: bool) -> str | None:
    """Return the link that a code is to be put into; None where the list has a column of its name.

    Raises `InvalidMessageError` where both could be meant, where no page is named, and for a link with a
    fallback, which nobody would ever see.
    """
    is_column = find_named_column(columns, LINK_NAME) is not None
    if url is None and is_column:
        return None
    if is_column:
        sentence = _(
            "The list has a column desinscription, and {desinscription} is the opt-out link too: rename "
            "the column, or name no opt-out page. Nothing was sent."
        )
    elif url is None:
        sentence = _(
            "{{desinscription}} becomes the opt-out link, and no page is named for it: add {argument}. "
            "Nothing was sent.",
            argument=_OPTION,
        )
    elif not is_bare:
        sentence = _(
            "{desinscription} is the opt-out link of everybody: write it without | or ?. Nothing was sent."
        )
    else:
        return f"{url}{CODE_MARK}"
    raise InvalidMessageError(sentence, error_code="message.opt_out_link")


def show_example(text: str) -> str:
    """Return a text with an example where it waits for a code: as long as it will be."""
    return text.replace(CODE_MARK, EXAMPLE)


async def make_test_text(ledger: Ledger, plan: CampaignPlan, recipient: Msisdn) -> str:
    """Return the first text for one's own phone: its link works, and is this phone's."""
    if not plan.has_opt_out_link:
        return plan.first_text
    codes = await ledger.optout_codes.issue([recipient])
    return plan.first_text.replace(EXAMPLE, codes[recipient])
