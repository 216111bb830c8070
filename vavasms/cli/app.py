"""The table of commands; each is imported when it is run, so that `vavasms --help` costs little."""

from __future__ import annotations

from attrs import frozen
from cyclopts import App, Group

from vavasms.version import __version__

_EPILOGUE = (
    "Credentials: VAVASMS_USERNAME and VAVASMS_PASSWORD in the environment, in a file .env or in the "
    "keyring; the sender in VAVASMS_SENDER_ID.\n\n"
    "Exit codes: 0 done, 1 our own fault, 2 usage or input, 3 rejected by the gateway, 4 outcome unknown "
    "(look before running it again), 5 not sent, 130 interrupted."
)


@frozen(kw_only=True)
class Command:
    """One command: where it lives and what its help says."""

    #: Its words after `vavasms`.
    name: str
    #: `module:function`.
    path: str
    #: What follows its name.
    usage: str
    #: What it does.
    sentence: str
    #: A line for a shell, to be run as it stands against `vavasms sandbox`.
    example: str
    #: Where `vavasms --help` lists it; None within a group of its own.
    group: Group | None = None

    def add_to(self, home: App, name: str) -> None:
        """Register it, to be imported when it is run."""
        home.command(
            self.path,
            name=name,
            group=self.group,
            usage=f"Usage: vavasms {self.name} {self.usage}",
            help=f"{self.sentence}\n\nExample: {self.example}",
            help_epilogue="",
        )


_MESSAGES = Group("Messages", sort_key=1)
_LISTS = Group("Before sending", sort_key=2)
_TRYING = Group("Without an account", sort_key=3)
_OTHER = Group("Help", sort_key=9)


COMMANDS = (
    Command(
        name="balance",
        path="vavasms.cli.messages:balance",
        usage="[OPTIONS]",
        sentence="Show the credit of the account.",
        example="vavasms balance",
        group=_MESSAGES,
    ),
    Command(
        name="send",
        path="vavasms.cli.messages:send",
        usage="TO... --message TEXT [OPTIONS]",
        sentence="Send one text to one number or a few, in one request.",
        example="vavasms send +2250700000001 --message Bonjour",
        group=_MESSAGES,
    ),
    Command(
        name="status",
        path="vavasms.cli.messages:status",
        usage="MESSAGE_ID [OPTIONS]",
        sentence="Show how far a message came.",
        example='vavasms status "$(vavasms send +2250700000001 --message Salut --quiet)"',
        group=_MESSAGES,
    ),
    Command(
        name="otp send",
        path="vavasms.cli.otp:send",
        usage="TO [OPTIONS]",
        sentence="Have the gateway make a one-time code and send it.",
        example="vavasms otp send +2250700000001 --length 6",
    ),
    Command(
        name="otp verify",
        path="vavasms.cli.otp:verify",
        usage="TO CODE [OPTIONS]",
        sentence="Check a one-time code, which uses up an attempt.",
        example="vavasms otp verify +2250700000001 042317",
    ),
    Command(
        name="segments",
        path="vavasms.cli.texts:segments",
        usage="TEXT [OPTIONS]",
        sentence="Count the SMS that a text becomes, and show which letters cost.",
        example='vavasms segments "Votre commande est prête"',
        group=_LISTS,
    ),
    Command(
        name="numbers check",
        path="vavasms.cli.numbers:check",
        usage="[FILE] [OPTIONS]",
        sentence="Say of each number of a list: kept, repaired, a duplicate, or refused and why.",
        example="echo '+225 07 00 00 00 01' | vavasms numbers check",
    ),
    Command(
        name="sandbox",
        path="vavasms.cli.sandbox:sandbox",
        usage="[OPTIONS]",
        sentence="Stand in for the gateway on this machine, until Ctrl-C.",
        example="vavasms sandbox --port 0",
        group=_TRYING,
    ),
    Command(
        name="demo",
        path="vavasms.cli.demo:demo",
        usage="[OPTIONS]",
        sentence="Clean a messy list of contacts, send it to a sandbox, prove the account.",
        example="vavasms demo --rows 500",
        group=_TRYING,
    ),
)


def _make() -> App:
    root = App(
        name="vavasms",
        help="Send SMS through the VavaSMS gateway: none twice, none lost, no outcome guessed.",
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=f"vavasms {__version__}",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    root["--help"].group = root["--version"].group = _OTHER
    otp = App(name="otp", help="Send and check one-time codes.", help_epilogue="", group=_MESSAGES)
    numbers = App(
        name="numbers", help="Look at the numbers of a contact list.", help_epilogue="", group=_LISTS
    )
    root.command(otp)
    root.command(numbers)
    homes = {"otp": otp, "numbers": numbers}
    for command in COMMANDS:
        *home, name = command.name.split()
        command.add_to(homes[home[0]] if home else root, name)
    return root


app = _make()
