"""`vavasms://`: the notifier of [Apprise](https://appriseit.com), 2.3 or newer.

Apprise loads it by `--plugin-path` (or `APPRISE_PLUGIN_PATH`) with the path of this file; a program imports
this module. It has no key to send by: what was sent, and what is unknown, is not sent again by a retry of the
same notification. A later notification of the same text is another SMS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apprise import NotificationManager, NotifyBase, PrivacyMode
from apprise.exception import AppriseImproperlyConfigured

from vavasms.errors import InvalidInputError, VavaSMSError
from vavasms.numbers import Msisdn, parse_msisdn
from vavasms.sync.client import VavaSMS
from vavasms.wire.requests import draft_text

__all__ = ["NotifyVavaSMS"]

_SCHEMA = "vavasms"
#: Under it stands what a retry of the same notification is answered, which sends nothing: True what was sent,
#: False what is unknown or no retry can mend.
_SETTLED = "settled"


class NotifyVavaSMS(NotifyBase):  # type: ignore[misc]
    """SMS through VavaSMS: `vavasms://USERNAME:PASSWORD@SENDER/NUMBER/NUMBER`.

    Without a username and a password they are those of the environment: `vavasms://SENDER/NUMBER`. Signs
    other than letters and digits are percent-encoded (`shop%40example.com`). All numbers of a URL are one
    request.
    """

    service_name = "VavaSMS"
    service_url = "https://vavasms.com/"
    setup_url = "https://vavasms.com/"
    secure_protocol = _SCHEMA
    #: A title comes before the text.
    title_maxlen = 0
    #: Ten segments.
    body_maxlen = 1530
    #: The gateway's own limits are the client's concern.
    request_rate_per_sec = 0

    templates = ("{schema}://{sender}/{targets}", "{schema}://{user}:{password}@{sender}/{targets}")
    template_tokens = NotifyBase.template_tokens | {
        "user": {"name": "Username", "type": "string"},
        "password": {"name": "Password", "type": "string", "private": True},
        "sender": {"name": "Sender ID", "type": "string", "required": True, "map_to": "sender"},
        "targets": {"name": "Numbers", "type": "list:string", "required": True},
    }
    template_args = NotifyBase.template_args | {"to": {"alias_of": "targets"}}

    def __init__(self, sender: str = "", targets: str | Iterable[str] = (), **options: Any) -> None:
        """Raise `AppriseImproperlyConfigured` for what could never be sent."""
        super().__init__(**options)
        self.sender = sender
        if bool(self.user) != bool(self.password):
            # Half of the environment's account would be another's.
            raise self._refuse(
                "a username and a password, or neither: vavasms://USERNAME:PASSWORD@SENDER/NUMBER"
            )
        given = self.parse_list(targets)
        try:
            self.targets: tuple[Msisdn, ...] = tuple(
                parse_msisdn(each, default_region="CI") for each in given
            )
            with self._open():
                draft_text("-", sender, username=self.user)
        except VavaSMSError as error:
            raise self._refuse(error.english) from None
        if not self.targets:
            raise self._refuse("no number: vavasms://SENDER/NUMBER")

    def _open(self) -> VavaSMS:
        return VavaSMS(self.user or None, self.password or None, sender_id=self.sender)

    def _refuse(self, sentence: str) -> AppriseImproperlyConfigured:
        self.logger.warning("VavaSMS: %s", sentence)
        return AppriseImproperlyConfigured(sentence)

    def send(self, body: str, **_options: Any) -> bool:
        """Send one SMS to all numbers; return whether the gateway took it.

        False is also what is unknown: it is said in the log, and no retry sends it again.
        """
        settled: bool | None = self.recall(_SETTLED)
        if settled is not None:
            return settled
        # Whatever happens from here on, unless it is known that nothing was sent.
        self.remember(_SETTLED, False)
        try:
            with self._open() as sms:
                sms.send(self.targets, body)
        except VavaSMSError as error:
            if error.safe_to_retry and not error.halts and not isinstance(error, InvalidInputError):
                self.remember(_SETTLED, None)
            self.logger.warning("VavaSMS: %s [%s]", error.english, error.error_code)
            return False
        self.remember(_SETTLED, True)
        return True

    def url(self, privacy: bool = False, *args: Any, **options: Any) -> str:
        """Return the URL that this notifier is made of."""
        account = ""
        if self.user and self.password:
            password = self.pprint(self.password, privacy, mode=PrivacyMode.Secret, safe="")
            account = f"{self.pprint(self.user, privacy, safe='')}:{password}@"
        numbers = "/".join(self.pprint(str(number), privacy, safe="") for number in self.targets)
        return (
            f"{_SCHEMA}://{account}{self.quote(self.sender, safe='')}/{numbers}"
            f"/?{self.urlencode(self.url_parameters(*args, privacy=privacy, **options))}"
        )

    @property
    def url_identifier(self) -> tuple[str | None, ...]:
        """What makes it another notifier: the account and the sender."""
        return (_SCHEMA, self.user, self.password, self.sender)

    def __len__(self) -> int:
        """One request, whatever the numbers."""
        return 1

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """Return the arguments of a URL, None where it is none."""
        found: dict[str, Any] | None = NotifyBase.parse_url(url, verify_host=False)
        if found:
            found["sender"] = NotifyBase.unquote(found["host"])
            found["targets"] = NotifyBase.split_path(found["fullpath"])
            if found["qsd"].get("to"):
                found["targets"] += NotifyBase.parse_list(NotifyBase.unquote(found["qsd"]["to"]))
        return found


if _SCHEMA not in NotificationManager():  # pragma: no branch - loaded by its path, and imported
    NotificationManager().add(NotifyVavaSMS)
