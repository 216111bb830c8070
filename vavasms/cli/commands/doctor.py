"""`doctor`: what works and what does not, before the first SMS, with a next step for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
from attrs import frozen
from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from vavasms.cli import exit_codes, output, settings
from vavasms.cli.commands.inbound import URL, check_url
from vavasms.cli.ledger_option import LedgerPath, find_ledger, repeat_option
from vavasms.cli.params import JsonFlag
from vavasms.client import AsyncVavaSMS
from vavasms.config import DEFAULT_BASE_URL, Secret, Timeouts, check_base_url
from vavasms.doctor.account import check_sender
from vavasms.doctor.checks import Installation, examine
from vavasms.doctor.findings import PATIENCE, Finding, FindingState, misset, skipped, unreached
from vavasms.doctor.ledger import may_be_secret
from vavasms.doctor.local import check_dotenv, list_versions
from vavasms.doctor.threads import run_abandonable
from vavasms.errors import VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_
from vavasms.i18n import in_english, ngettext, translate, with_options
from vavasms.tracebacks import hide_frames, hide_frames_async

T = TypeVar("T")

_DOTENV = Path(".env")
_BASE_URL = "VAVASMS_BASE_URL"
#: The balance is waited for no longer than anything else here.
_TIMEOUTS = Timeouts(connect=5.0, write=5.0, pool=5.0, read=8.0)
LABELS = {
    "versions": N_("versions"),
    "dotenv": N_("file .env"),
    "proxy": N_("proxy"),
    "dns": N_("DNS"),
    "connection": N_("gateway"),
    "tls": N_("TLS"),
    "clock": N_("clock"),
    "credentials": N_("credentials"),
    "sender": N_("sender"),
    "ledger": N_("ledger"),
    "schema": N_("schema"),
    "workers": N_("workers"),
    "inbound": N_("inbound URL"),
}
WORDS = {
    FindingState.GOOD: (N_("good"), "green"),
    FindingState.WARNING: (N_("warning"), "yellow"),
    FindingState.BAD: (N_("bad"), "red"),
    FindingState.SKIPPED: (N_("skipped"), "dim"),
}


def doctor(
    *,
    ledger: LedgerPath = None,
    inbound_url: Annotated[
        str | None,
        Parameter(
            name="--inbound-url",
            metavar="URL",
            show_default=False,
            help=_("Where the receiver of inbound SMS is, with its token [{setting}].", setting=URL),
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Check what works and what does not, with a next step. Nothing is sent."""
    findings = anyio.run(partial(_examine, ledger, inbound_url))
    if as_json:
        _print_json(findings)
    else:
        _print_report(findings)
    return choose_code(findings)


def choose_code(findings: Sequence[Finding]) -> int:
    """Choose the exit code: that of a wrong setting before that of what is not reached."""
    bad = [finding for finding in findings if finding.state is FindingState.BAD]
    if not bad:
        return exit_codes.DONE
    return exit_codes.NOT_SENT if all(finding.is_unreached for finding in bad) else exit_codes.USAGE


async def _examine(ledger: str | None, inbound_url: str | None) -> Sequence[Finding]:
    async with AsyncExitStack() as stack:
        installation = await _read_installation(ledger, inbound_url)
        if isinstance(installation.client, AsyncVavaSMS):
            await stack.enter_async_context(installation.client)
        return await examine(installation)


@hide_frames_async
async def _read_installation(ledger: str | None, inbound_url: str | None) -> Installation:
    """Read the settings; a check whose setting is wrong gets what is wrong with it in its place."""
    dotenv = check_dotenv(_DOTENV)
    attempt = _SettingReader(dotenv=dotenv)
    gateway = attempt.find("connection", _find_gateway)
    account = await _find_account(attempt)
    client: AsyncVavaSMS | Finding
    if isinstance(gateway, Finding):
        client = skipped("credentials", _("the address of the gateway is not known"))
    elif isinstance(account, Finding):
        client = account
    else:
        client = attempt.find("credentials", partial(_make_client, account))
    place = attempt.find("ledger", partial(find_ledger, ledger))
    return Installation(
        dotenv=dotenv,
        gateway=gateway,
        client=client,
        sender=attempt.find("sender", partial(_check_sender, account)),
        ledger=place,
        ledger_option=""
        if isinstance(place, Path) and may_be_secret(place)
        else repeat_option(ledger or None),
        inbound=attempt.find("inbound", partial(_find_inbound, inbound_url)),
    )


@frozen(kw_only=True)
class _SettingReader:
    """The reader of settings, which tells what is wrong with one in a finding."""

    dotenv: Finding

    @hide_frames
    def find(self, name: str, read: Callable[[], T]) -> T | Finding:
        """Return what is read, or the finding of a check that cannot be made."""
        try:
            return read()
        except VavaSMSError as error:
            problem = error
        if problem.error_code == "config.dotenv" and self.dotenv.state is FindingState.BAD:
            return skipped(name, _("the file .env cannot be read"))
        step = _("`vavasms explain {code}` says more.", code=problem.error_code)
        return misset(name, translate(with_options(problem.args[0])), step)


async def _find_account(attempt: _SettingReader) -> Mapping[str, Any] | Finding:
    """Return the account's settings. A keyring may ask for its own password, where nobody sees it ask."""
    read = partial(attempt.find, "credentials", settings.find_account)
    try:
        return await run_abandonable(read, patience=PATIENCE)
    except TimeoutError:
        return unreached(
            "credentials",
            _("The keyring did not answer in time."),
            _("Unlock it, or set VAVASMS_USERNAME and VAVASMS_PASSWORD in the environment or in .env."),
        )


def _find_gateway() -> str:
    return check_base_url(settings.find_setting(_BASE_URL) or DEFAULT_BASE_URL)


@hide_frames
def _make_client(account: Mapping[str, Any]) -> AsyncVavaSMS:
    return AsyncVavaSMS(**account, max_connections=1, timeouts=_TIMEOUTS)


@hide_frames
def _check_sender(account: Mapping[str, Any] | Finding) -> Finding:
    if not isinstance(account, Finding):
        return check_sender(account["sender_id"], account["username"])
    return check_sender(settings.find_setting("VAVASMS_SENDER_ID"), settings.find_setting("VAVASMS_USERNAME"))


@hide_frames
def _find_inbound(option: str | None) -> Secret | None:
    url = option or settings.find_setting(URL)
    return None if url is None else Secret(check_url(url))


def _print_json(findings: Sequence[Finding]) -> None:
    for finding in findings:
        line: dict[str, object] = {
            "check": finding.name,
            "state": finding.state.value,
            "sentence": in_english(finding.sentence),
            "step": in_english(finding.step) or None,
        }
        if finding.name == "versions":
            line["versions"] = list_versions()
        output.print_json(line)


def _print_report(findings: Sequence[Finding]) -> None:
    versions = dict(list_versions())
    program = f"vavasms {versions.pop('vavasms')}, {versions.pop('python')}, {versions.pop('platform')}"
    # Versions are the same in every language, and whoever gets the report reads them first.
    for line in (program, ", ".join(f"{name} {version}" for name, version in versions.items())):
        output.output().print(Text(line))
    output.say(output.moment(time.time()))
    output.say()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        word, style = WORDS[finding.state]
        text = Text(output.clean(finding.sentence))
        if finding.step:
            text.append(f"\n→ {output.clean(finding.step)}", style="bold")
        table.add_row(Text(_(word), style=style), Text(_(LABELS[finding.name])), text)
    output.output().print(table)
    output.say()
    output.say(_conclude(findings))


def _conclude(findings: Sequence[Finding]) -> str:
    wrong = sum(finding.state is FindingState.BAD for finding in findings)
    warned = sum(finding.state is FindingState.WARNING for finding in findings)
    if not (wrong or warned):
        return _("Nothing stands in the way of the first SMS. Nothing was sent.")
    if not wrong:
        return ngettext(
            "Nothing has failed; see to {n} warning before the first SMS. Nothing was sent.",
            "Nothing has failed; see to {n} warnings before the first SMS. Nothing was sent.",
            warned,
        )
    return ngettext(
        "{n} thing is to be mended. Nothing was sent.",
        "{n} things are to be mended. Nothing was sent.",
        wrong,
    )
