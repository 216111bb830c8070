"""`probe`: settle, with a few SMS to one's own phone, what the vendor does not document.

Its exit codes are those of every command: 0 where all that fits was asked, whatever the answers leave open; 3
where the account or the sender is refused; 4 where a request of this run was cut off, and is unknown; 5 where
the gateway is not reached; 130 where it was interrupted. What was learnt is kept in each case.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from attrs import define, evolve, field
from cyclopts import Parameter

from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands import probe_view
from vavasms.cli.params import JsonFlag, SenderId, Yes
from vavasms.cli.prompts import ask, check_terminal
from vavasms.cli.signals import terminable
from vavasms.config import gateway_of_account, misconfigured, no_sender_id
from vavasms.errors import InvalidInputError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn, parse_msisdn
from vavasms.probe.journal import open_journal, place_journal
from vavasms.probe.plan import ProbeStep, next_step
from vavasms.probe.prober import BURST, Prober
from vavasms.profile.file import read_profile, write_profile
from vavasms.profile.models import UNKNOWN, GatewayProfile
from vavasms.storage.location import is_there
from vavasms.sync.client import VavaSMS, wait_for
from vavasms.tracebacks import hide_frames
from vavasms.transport.hooks import CallInfo

#: Where the profile goes unless somebody says.
_FILE = "vavasms-profile.toml"


def probe(
    *,
    to: Annotated[
        str, Parameter(metavar=_("NUMBER"), help=_("Your own phone: nobody else is sent anything."))
    ],
    spend: Annotated[
        int,
        Parameter(
            metavar="N",
            help=_(
                "SMS that it may cost at most, earlier runs with the same profile included: 6 settle most."
            ),
        ),
    ],
    profile: Annotated[
        Path | None,
        Parameter(
            metavar=_("FILE"), help=_("The profile to write [VAVASMS_PROFILE, else vavasms-profile.toml].")
        ),
    ] = None,
    sender_id: SenderId = None,
    wait: Annotated[
        float, Parameter(metavar=_("SECONDS"), help=_("How long the status of an SMS is followed."))
    ] = 60.0,
    pace: Annotated[float, Parameter(metavar=_("SECONDS"), help=_("The pause between two requests."))] = 1.0,
    yes: Yes = False,
    as_json: JsonFlag = False,
) -> int:
    """Settle what the gateway does not document, with SMS to your own phone."""
    _check_numbers(spend=spend, wait=wait, pace=pace)
    number = parse_msisdn(to, default_region="CI")
    if not yes:
        check_terminal("")
    path = profile or Path(settings.find_setting("VAVASMS_PROFILE", os.environ) or _FILE)
    with terminable(), _opened(path, number, sender_id, wait=wait, pace=pace) as (client, prober):
        session = ProbeSession(client=client, prober=prober, path=path, spend=spend, yes=yes, as_json=as_json)
        return session.run()


def _check_numbers(*, spend: int, wait: float, pace: float) -> None:
    if spend < 0:
        raise InvalidInputError(
            _("--spend takes a number of SMS, 0 or more. Nothing was sent."), error_code="usage.value"
        )
    for name, seconds in (("--wait", wait), ("--pace", pace)):
        if not 0 <= seconds <= 86_400:
            raise InvalidInputError(
                _("{name} takes seconds, a day at most. Nothing was sent.", name=name),
                error_code="usage.value",
            )


@contextmanager
@hide_frames
def _opened(
    path: Path, number: Msisdn, sender_id: str | None, *, wait: float, pace: float
) -> Iterator[tuple[VavaSMS, Prober]]:
    """Open the account, whose profile is not believed, and the journal."""
    account = settings.find_account() | {"profile": UNKNOWN}
    watched: list[Prober] = []

    def watch(info: CallInfo) -> None:
        for prober in watched:
            prober.watch(info)

    with VavaSMS(**account, max_connections=BURST, on_response=watch) as client:
        sender = sender_id or client.account.sender_id
        if sender is None:
            raise misconfigured(no_sender_id(), "sender_id.missing")
        known = read_profile(path) if is_there(path) else UNKNOWN
        _check_place(path, known, gateway_of_account(client.account.name))
        with open_journal(place_journal(path), client.account.name, known) as journal:
            watched.append(
                Prober(
                    account=client.account,
                    sender_id=sender,
                    to=number,
                    journal=journal,
                    pace=pace,
                    patience=wait,
                )
            )
            yield client, watched[0]


def _check_place(path: Path, known: GatewayProfile, gateway: str) -> None:
    """Raise `ConfigurationError` where the file is of another gateway: what is learnt would be mixed."""
    if known.gateway not in (None, gateway):
        raise misconfigured(
            _(
                "The gateway profile {path} is of {found}, not of {gateway}: name another file.",
                path=str(path),
                found=known.gateway,
                gateway=gateway,
            ),
            "config.profile",
        )


@define(kw_only=True)
class ProbeSession:
    """One run of the command: each step is said, asked about where it may cost, and taken."""

    client: VavaSMS
    prober: Prober
    path: Path
    #: SMS.
    spend: int
    yes: bool
    as_json: bool
    #: Those that are not taken (again) in this run.
    left_out: dict[ProbeStep, str] = field(factory=dict, init=False)
    _reported: set[ProbeStep] = field(factory=set, init=False)

    def run(self) -> int:
        """Take all steps that fit; return the exit code."""
        known = self.prober.known
        open_before = set(known.open)
        self._introduce()
        try:
            # The account is the right one, or nothing begins.
            self._wait(self.prober.balance)
            while (found := next_step(known, self.spend, self.left_out)) is not None:
                self._take(*found)
        except KeyboardInterrupt:
            self._conclude(is_interrupted=True)
            return exit_codes.INTERRUPTED
        except VavaSMSError:
            if known.committed:
                self._conclude()
            raise
        self._conclude()
        return exit_codes.worst([Outcome.UNKNOWN] if set(known.open) - open_before else [])

    def _take(self, step: ProbeStep, most: int) -> None:
        if not self.as_json:
            output.say(f"\n{probe_view.describe_step(step, most)}")
        if most and not self.yes and not ask(probe_view.ask_consent(self.prober.known, self.spend)):
            self.left_out[step] = _("you said no")
            return
        before = len(self.prober.known.paid_sizes)
        self._wait(partial(self.prober.run, step))
        self._keep()
        if step is not ProbeStep.PAID_SIZES or len(self.prober.known.paid_sizes) == before:
            # Once a run: what nobody answered now is asked for by the next one.
            self.left_out[step] = ""
        if self.as_json:
            output.print_json(probe_view.make_event(step, self.prober.known))
        else:
            output.say(f"  {probe_view.describe_result(step, self.prober.known)}")

    def _wait(self, work: Callable[[], Awaitable[object]]) -> None:
        """Wait for work in the portal; the first interrupt waits for the request under way."""
        wait_for(self.client, work, on_interrupt=self.prober.stop)

    def _keep(self) -> None:
        write_profile(self.path, self._profile, comment=probe_view.describe_file())

    @property
    def _profile(self) -> GatewayProfile:
        """What is known, and of which gateway."""
        return evolve(self.prober.known.profile, gateway=gateway_of_account(self.client.account.name))

    def _introduce(self) -> None:
        if not self.as_json:
            for line in probe_view.introduce(self.prober.to, self.prober.known, self.spend, self.path):
                output.say(line)

    def _conclude(self, *, is_interrupted: bool = False) -> None:
        known = self.prober.known
        if known.profile != UNKNOWN:
            # A run before may have been killed between its journal and this.
            self._keep()
        if self.as_json:
            output.print_json(
                probe_view.make_end(known, self._profile, self.path, is_interrupted=is_interrupted)
            )
            return
        if is_interrupted:
            output.say("\n" + _("Interrupted. What was learnt and spent so far:"), style="bold")
        output.say()
        probe_view.show_summary(known, self.spend, self.left_out)
        output.say()
        for line in probe_view.conclude(known, self.spend, self.path):
            output.say(line)
