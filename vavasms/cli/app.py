"""The table of commands; each is imported when it is run, so that `vavasms --help` costs little.

It is read after the language was chosen.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from cyclopts import App, Group

from vavasms.cli.commands.sandbox import MAGIC_HELP
from vavasms.i18n import gettext as _
from vavasms.version import __version__

_EPILOGUE = (
    _(
        "Credentials: VAVASMS_USERNAME and VAVASMS_PASSWORD in the environment, in a file .env or in the "
        "keyring; the sender in VAVASMS_SENDER_ID."
    ),
    _("An error ends with its code: `vavasms explain CODE` says what happened and what to do."),
    _("Language: --lang en|fr, VAVASMS_LANG, or the locale."),
    _(
        "Exit codes: 0 done, 1 our own fault, 2 usage or input, 3 rejected by the gateway, 4 outcome unknown "
        "(look before running it again), 5 not sent, 130 interrupted."
    ),
)


@frozen(kw_only=True)
class Command:
    """One command: where it lives and what its help says."""

    #: Its words after `vavasms`.
    name: str
    #: `module:function`.
    path: str
    #: What it does; its function's docstring says the same, which would have to be imported.
    sentence: str
    #: A line for a shell, to be run as it stands against `vavasms sandbox`.
    example: str
    #: What follows its name.
    usage: str = "[OPTIONS]"
    #: Where `vavasms --help` lists it; None within a group of its own.
    group: Group | None = None
    #: What its help ends with.
    notes: str = ""
    #: Whether it may send an SMS or use up an attempt: of the others nobody asks whether something was sent.
    sends: bool = False

    def add_to(self, home: App, name: str) -> None:
        """Register it, to be imported when it is run."""
        example = _("Example: {line}", line=self.example)
        home.command(
            self.path,
            name=name,
            group=self.group,
            usage=_tell_usage(self.name, self.usage),
            help=f"{self.sentence}\n\n{example}",
            help_epilogue=self.notes,
        )


def _tell_usage(*words: str) -> str:
    return _("Usage: {line}", line=" ".join(("vavasms", *words)))


class _HelpFormatter:
    """How help is printed; what prints it is imported when it does."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        from vavasms.cli.help import show_panel

        show_panel(console, options, panel)

    def render_usage(self, console: Any, _options: Any, usage: str) -> None:
        from vavasms.cli.help import show_usage

        show_usage(console, usage)


_MESSAGES = Group(_("Messages"), sort_key=1)
_LISTS = Group(_("Before sending"), sort_key=2)
_CAMPAIGNS = Group(_("Campaigns"), sort_key=3)
_INBOUND = Group(_("Inbound"), sort_key=4)
_TRYING = Group(_("Without an account"), sort_key=5)
_OTHER = Group(_("Help"), sort_key=9)
_HOMES = (
    ("otp", _("Send and check one-time codes."), _MESSAGES),
    ("sends", _("Look after what was sent with a key, or is enqueued."), _MESSAGES),
    ("numbers", _("Look at the numbers of a contact list."), _LISTS),
    ("campaign", _("Send to a list, durably."), _CAMPAIGNS),
    ("optouts", _("Keep the opt-out list."), _CAMPAIGNS),
    ("ledger", _("Look after where campaigns and sends are kept."), _CAMPAIGNS),
    ("inbound", _("Receive what handsets send."), _INBOUND),
)

COMMANDS = (
    Command(
        name="balance",
        path="vavasms.cli.commands.messages:balance",
        sentence=_("Show the credit of the account."),
        example="vavasms balance",
        group=_MESSAGES,
    ),
    Command(
        name="send",
        sends=True,
        path="vavasms.cli.commands.messages:send",
        usage=_("TO... --message TEXT [OPTIONS]"),
        sentence=_("Send one text to one number or a few, in one request."),
        example="vavasms send +2250700000001 --message Bonjour",
        group=_MESSAGES,
        notes=_(
            "With --idempotency-key a script may run it again: what was accepted is not sent again, what "
            "is unknown is exit code 4 until `vavasms sends resolve`."
        ),
    ),
    Command(
        name="status",
        path="vavasms.cli.commands.messages:status",
        usage=_("MESSAGE_ID [OPTIONS]"),
        sentence=_("Show how far a message came."),
        example='vavasms status "$(vavasms send +2250700000001 --message Salut --quiet)"',
        group=_MESSAGES,
    ),
    Command(
        name="sends list",
        path="vavasms.cli.commands.sends:list_sends",
        sentence=_("List the single sends of the ledger, the latest first."),
        example="vavasms sends list --state unknown --since 24h",
    ),
    Command(
        name="sends show",
        path="vavasms.cli.commands.sends:show",
        usage=_("KEY [OPTIONS]"),
        sentence=_("Show what is kept of a send: its state, its times, its ids."),
        example="vavasms sends show order-42",
    ),
    Command(
        name="sends resolve",
        path="vavasms.cli.commands.sends:resolve",
        usage=_("KEY [--mark-sent | --resend] [OPTIONS]"),
        sentence=_("Decide on a send whose outcome is unknown, or show it."),
        example="vavasms sends resolve order-42 --mark-sent --yes",
    ),
    Command(
        name="sends purge",
        path="vavasms.cli.commands.sends:purge",
        sentence=_("Forget the sends that are over; what is unknown stays."),
        example="vavasms sends purge --older-than 90d --yes",
    ),
    Command(
        name="otp send",
        sends=True,
        path="vavasms.cli.commands.otp:send",
        usage=_("TO [OPTIONS]"),
        sentence=_("Send a one-time code that the gateway makes."),
        example="vavasms otp send +2250700000001 --length 6",
    ),
    Command(
        name="otp verify",
        sends=True,
        path="vavasms.cli.commands.otp:verify",
        usage=_("TO CODE [OPTIONS]"),
        sentence=_("Check a one-time code, which uses up an attempt."),
        example="vavasms otp verify +2250700000001 042317",
    ),
    Command(
        name="segments",
        path="vavasms.cli.commands.segments:segments",
        usage=_("TEXT [OPTIONS]"),
        sentence=_("Count the SMS that a text becomes, and show which letters cost."),
        example='vavasms segments "Votre commande est prête"',
        group=_LISTS,
    ),
    Command(
        name="numbers check",
        path="vavasms.cli.commands.numbers:check",
        usage=_("[FILE] [OPTIONS]"),
        sentence=_("Check each number of a list: kept, repaired, a duplicate, or refused and why."),
        example="echo '+225 07 00 00 00 01' | vavasms numbers check",
    ),
    Command(
        name="desk",
        sends=True,
        path="vavasms.cli.commands.desk:desk",
        sentence=_("Run campaigns from a browser on this machine, until Ctrl-C."),
        example="vavasms desk",
        group=_CAMPAIGNS,
        notes=_("It prints a link that opens it once. It needs the extra: pip install 'vavasms[desk]'."),
    ),
    Command(
        name="campaign plan",
        path="vavasms.cli.commands.campaign.plan:plan",
        usage=_("CONTACTS --message TEXT [OPTIONS]"),
        sentence=_("Work out what a campaign would do and cost. Nothing is sent."),
        example="vavasms campaign plan contacts.csv --message 'Bonjour {prenom}'",
    ),
    Command(
        name="campaign run",
        sends=True,
        path="vavasms.cli.commands.campaign.run:run",
        usage=_("CONTACTS --message TEXT [OPTIONS]"),
        sentence=_("Plan a campaign, ask, send it, report. Safe to interrupt: it can be resumed."),
        example="vavasms campaign run contacts.csv --message Bonjour --rate 50 --yes",
    ),
    Command(
        name="campaign resume",
        sends=True,
        path="vavasms.cli.commands.campaign.run:resume",
        usage=_("ID [OPTIONS]"),
        sentence=_("Go on with a campaign that was interrupted or paused."),
        example="vavasms campaign resume 3f9a1c07",
    ),
    Command(
        name="campaign retry",
        sends=True,
        path="vavasms.cli.commands.campaign.run:retry",
        usage=_("ID [OPTIONS]"),
        sentence=_("Send to those once more to whom nothing came, as a new campaign."),
        example="vavasms campaign retry 3f9a1c07 --what rejected --yes",
    ),
    Command(
        name="campaign status",
        path="vavasms.cli.commands.campaign.control:status",
        usage=_("ID [OPTIONS]"),
        sentence=_("Show how far a campaign is."),
        example="vavasms campaign status 3f9a1c07",
    ),
    Command(
        name="campaign list",
        path="vavasms.cli.commands.campaign.control:list_campaigns",
        sentence=_("List the campaigns of the ledger, the latest first."),
        example="vavasms campaign list",
    ),
    Command(
        name="campaign pause",
        path="vavasms.cli.commands.campaign.control:pause",
        usage=_("ID [OPTIONS]"),
        sentence=_("Pause a campaign: nothing further is sent, what is under way is finished."),
        example="vavasms campaign pause 3f9a1c07",
    ),
    Command(
        name="campaign cancel",
        path="vavasms.cli.commands.campaign.control:cancel",
        usage=_("ID [OPTIONS]"),
        sentence=_("End a campaign for good: what was not sent never is."),
        example="vavasms campaign cancel 3f9a1c07 --yes",
    ),
    Command(
        name="campaign report",
        path="vavasms.cli.commands.campaign.report:report",
        usage=_("ID [--format text|html|xlsx|csv|json] [OPTIONS]"),
        sentence=_("Report what became of a campaign, and of each of its recipients."),
        example="vavasms campaign report 3f9a1c07 --format html --output report.html",
    ),
    Command(
        name="campaign resolve",
        path="vavasms.cli.commands.campaign.resolve:resolve",
        usage=_("ID [--mark-sent | --resend] [OPTIONS]"),
        sentence=_("Show the batches whose outcome is unknown, and decide on them."),
        example="vavasms campaign resolve 3f9a1c07",
    ),
    Command(
        name="campaign recover",
        path="vavasms.cli.commands.campaign.recover:recover",
        sentence=_("Use a ledger without its log, a copy or a backup: what it had queued is unknown."),
        example="vavasms campaign recover --yes",
    ),
    Command(
        name="campaign track",
        path="vavasms.cli.commands.campaign.track:track",
        usage=_("ID [OPTIONS]"),
        sentence=_("Ask for the delivery reports of a campaign until they are final."),
        example="vavasms campaign track 3f9a1c07 --rate 5",
    ),
    Command(
        name="campaign purge",
        path="vavasms.cli.commands.campaign.control:purge",
        usage=_("ID [OPTIONS]"),
        sentence=_("Forget the numbers and texts of an ended campaign, keep its counts."),
        example="vavasms campaign purge 3f9a1c07 --yes",
    ),
    Command(
        name="optouts list",
        path="vavasms.cli.commands.optouts:list_opt_outs",
        sentence=_("List the numbers that want no messages."),
        example="vavasms optouts list",
    ),
    Command(
        name="optouts add",
        path="vavasms.cli.commands.optouts:add",
        usage=_("NUMBER... [OPTIONS]"),
        sentence=_("Put numbers on the list: no campaign sends to them."),
        example="vavasms optouts add +2250700000001",
    ),
    Command(
        name="optouts remove",
        path="vavasms.cli.commands.optouts:remove",
        usage=_("NUMBER... [OPTIONS]"),
        sentence=_("Take numbers off the list."),
        example="vavasms optouts remove +2250700000001",
    ),
    Command(
        name="optouts import",
        path="vavasms.cli.commands.optouts:import_file",
        usage=_("FILE [OPTIONS]"),
        sentence=_("Put the numbers of a file on the list."),
        example="vavasms optouts import stop.csv",
    ),
    Command(
        name="optouts export",
        path="vavasms.cli.commands.optouts:export",
        sentence=_("Print the list as CSV."),
        example="vavasms optouts export",
    ),
    Command(
        name="optouts serve",
        path="vavasms.cli.commands.optouts:serve",
        sentence=_("Serve the page behind opt-out links, until Ctrl-C."),
        example="vavasms optouts serve --port 0 --name 'Boutique Awa'",
    ),
    Command(
        name="ledger migrate",
        path="vavasms.cli.commands.ledger:migrate",
        sentence=_("Create the ledger, or upgrade it to this version."),
        example="vavasms ledger migrate",
    ),
    Command(
        name="worker",
        sends=True,
        path="vavasms.cli.commands.worker:worker",
        sentence=_("Send what is enqueued, and carry the campaigns of a PostgreSQL ledger."),
        example="vavasms worker --ledger postgresql://localhost/sms",
        group=_CAMPAIGNS,
        notes=_(
            "On a file it sends what is enqueued; the campaigns of a file are carried by "
            "`vavasms campaign run` and `vavasms campaign resume`."
        ),
    ),
    Command(
        name="inbound listen",
        path="vavasms.cli.commands.inbound:listen",
        sentence=_("Receive inbound SMS and show them, until Ctrl-C."),
        example="vavasms inbound listen --port 0",
    ),
    Command(
        name="inbound trigger",
        path="vavasms.cli.commands.inbound:trigger",
        usage=_("--from NUMBER --text TEXT [--url URL] [OPTIONS]"),
        sentence=_("Post an inbound SMS as the platform does."),
        example="vavasms inbound trigger --from +2250700000001 --text Bonjour",
    ),
    Command(
        name="sandbox",
        path="vavasms.cli.commands.sandbox:sandbox",
        sentence=_("Stand in for the gateway on this machine, until Ctrl-C."),
        example="vavasms sandbox --port 0",
        group=_TRYING,
        notes=_(MAGIC_HELP),
    ),
    Command(
        name="demo",
        sends=True,
        path="vavasms.cli.commands.demo:demo",
        sentence=_("Clean a messy list of contacts, send it to a sandbox, prove the account."),
        example="vavasms demo --rows 500",
        group=_TRYING,
    ),
    Command(
        name="doctor",
        path="vavasms.cli.commands.doctor:doctor",
        sentence=_("Check what works and what does not, with a next step. Nothing is sent."),
        example="vavasms doctor",
        group=_OTHER,
        notes=_(
            "Exit codes: 0 all is well, 2 a setting is wrong, 5 the gateway, the ledger, a worker or the "
            "receiver is not reached. The report holds no password and no number: paste it into a mail."
        ),
    ),
    Command(
        name="probe",
        sends=True,
        path="vavasms.cli.commands.probe:probe",
        usage=_("--to NUMBER --spend N [OPTIONS]"),
        sentence=_("Settle what the gateway does not document, with SMS to your own phone."),
        example="vavasms probe --to +2250700000001 --spend 6 --yes",
        group=_OTHER,
        notes=_(
            "Exit codes: 0 all that fits was asked, 3 the account or the sender is refused, 4 a request was "
            "cut off and is unknown, 5 the gateway is not reached, 130 interrupted. What was learnt is kept."
        ),
    ),
    Command(
        name="guide",
        path="vavasms.cli.commands.guide:guide",
        usage=_("[TOPIC]"),
        sentence=_("Read the guide, a chapter at a time."),
        example="vavasms guide start",
        group=_OTHER,
    ),
    Command(
        name="explain",
        path="vavasms.cli.commands.explain:explain",
        usage=_("[CODE] [OPTIONS]"),
        sentence=_("Explain an error by its code: what happened, what was sent, what to do."),
        example="vavasms explain gateway.902",
        group=_OTHER,
    ),
)


def _refuse_fractions(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    # Here, since `vavasms --help` does without it and what it imports.
    from vavasms.cli.usage_errors import refuse_fractions

    refuse_fractions(app, commands, arguments)


def _make() -> App:
    root = App(
        name="vavasms",
        usage=_tell_usage(_("COMMAND")),
        help=_("Send SMS through the VavaSMS gateway: none twice, none lost, no outcome guessed."),
        help_epilogue="\n\n".join(_EPILOGUE),
        help_format="plaintext",
        help_formatter=_HelpFormatter(),
        group_commands=Group.create_default_commands(_("Commands")),
        group_parameters=Group.create_default_parameters(_("Parameters")),
        group_arguments=Group.create_default_arguments(_("Arguments")),
        version=f"vavasms {__version__}",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        config=_refuse_fractions,
    )
    root["--help"].group = root["--version"].group = _OTHER
    root["--help"].help = _("Display this message and exit.")
    root["--version"].help = _("Display application version; with --verbose what a bug report needs.")
    homes = {
        name: App(
            name=name,
            usage=_tell_usage(name, _("COMMAND")),
            help=sentence,
            help_epilogue="",
            group=group,
        )
        for name, sentence, group in _HOMES
    }
    for home in homes.values():
        root.command(home)
    for command in COMMANDS:
        *group, name = command.name.split()
        command.add_to(homes[group[0]] if group else root, name)
    return root


app = _make()
