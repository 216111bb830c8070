"""Settings, and the words of commands."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="config.extra",
        what=N_("The command needs an extra that is not installed."),
        sent=N_("No."),
        do=N_("Install the extra that the error names."),
        example="pip install 'vavasms[xlsx,sandbox]'",
    ),
    Explanation(
        code="config.postgresql",
        what=N_("Workers share a ledger in PostgreSQL, and the ledger is a file."),
        sent=N_("No."),
        do=N_("Name a database with --ledger, or send without --detach."),
        example="vavasms campaign run contacts.csv --message Bonjour --detach --ledger postgresql://localhost/sms",
    ),
    Explanation(
        code="config.password_shown",
        what=N_("The value of --ledger holds a password, which every user of the machine could read."),
        sent=N_("No: nothing was sent."),
        do=N_("Put the connection string in VAVASMS_LEDGER, or the password in PGPASSWORD or ~/.pgpass."),
        example="export VAVASMS_LEDGER=postgresql://user:…@host/name",
    ),
    Explanation(
        code="config.dotenv",
        what=N_("The file .env cannot be read, or names a gateway without the password that goes there."),
        sent=N_("No: nothing was sent."),
        do=N_("Save it as UTF-8, and keep VAVASMS_BASE_URL and VAVASMS_PASSWORD in one place."),
        example="ls -l .env",
    ),
    Explanation(
        code="config.invalid",
        what=N_("A setting is wrong."),
        sent=N_("No: nothing was sent."),
        do=N_("Read the sentence: it names the setting and what fits."),
        example="vavasms balance",
    ),
    Explanation(
        code="config.no_credentials",
        what=N_("The username or the password of the account is missing."),
        sent=N_("No: nothing was sent."),
        do=N_("Set both, in the environment or in a .env file."),
        example="export VAVASMS_USERNAME=you@example.com VAVASMS_PASSWORD=…",
    ),
    Explanation(
        code="config.bad_credentials",
        what=N_("The username or the password is no UTF-8 text."),
        sent=N_("No: nothing was sent."),
        do=N_("Set them anew; save the file they stand in as UTF-8."),
        example="export LC_ALL=C.UTF-8",
    ),
    Explanation(
        code="config.base_url",
        what=N_("The base URL of the gateway cannot be used, or is not https://."),
        sent=N_("No: nothing was sent."),
        do=N_("Leave it out for VavaSMS, or write it as https://host/path."),
        example="export VAVASMS_BASE_URL=https://vavasms.com/api",
    ),
    Explanation(
        code="config.status_path",
        what=N_("The path of the delivery status call is none."),
        sent=N_("No: nothing was sent."),
        do=N_("Begin it with /, in plain characters."),
        example="export VAVASMS_STATUS_PATH=/v1/text/single",
    ),
    Explanation(
        code="config.redirected",
        what=N_("The gateway's address redirects elsewhere; your password is never carried along."),
        sent=N_("It is unknown: the request may have gone out."),
        do=N_("Set the base URL to the right address, and look before you send again."),
        example="export VAVASMS_BASE_URL=https://vavasms.com/api",
    ),
    Explanation(
        code="config.region",
        what=N_("The region is no country."),
        sent=N_("No: nothing was sent."),
        do=N_("Give a country's code of two letters."),
        example="AsyncVavaSMS(region='CI')",
    ),
    Explanation(
        code="config.timeouts",
        what=N_("A timeout is no time that makes sense, or is too long for a shared ledger."),
        sent=N_("No: nothing was sent."),
        do=N_("Give seconds above 0; with a shared ledger, keep the defaults."),
        example="Timeouts(read=20)",
    ),
    Explanation(
        code="config.tls",
        what=N_("The certificates to trust cannot be read, or would not be checked."),
        sent=N_("No: nothing was sent."),
        do=N_("Name a readable CA file, or leave it out. The checks stay on."),
        example="AsyncVavaSMS(tls='/etc/ssl/certs/ca-certificates.crt')",
    ),
    Explanation(
        code="config.proxy",
        what=N_("The proxy is no URL, or would see your password."),
        sent=N_("No: nothing was sent."),
        do=N_("Write it as http://host:port, for a gateway at https://."),
        example="export HTTPS_PROXY=http://proxy.example:3128",
    ),
    Explanation(
        code="config.argument",
        what=N_("An argument of the client or of its limits has a value that it cannot have."),
        sent=N_("No: nothing was sent."),
        do=N_("Read the sentence: it names the argument and what fits."),
        example="OtpLimits(number_hourly=5)",
    ),
    Explanation(
        code="config.no_ledger",
        what=N_("A key, the outbox or the log of sends needs a ledger, and the client has none."),
        sent=N_("No: nothing was sent."),
        do=N_("Give the client a ledger."),
        example="AsyncVavaSMS(ledger='sms.db')",
    ),
    Explanation(
        code="config.no_otp_limits",
        what=N_("A caller was named for a one-time code, and the client counts nobody."),
        sent=N_("No: nothing was sent."),
        do=N_("Give the client limits, or leave the caller out."),
        example="AsyncVavaSMS(otp_limits=OtpLimits())",
    ),
    Explanation(
        code="config.ledger_place",
        what=N_("What was named is no place of a ledger."),
        sent=N_("No: nothing was sent."),
        do=N_("Name a file, or a PostgreSQL database by its URL."),
        example="vavasms campaign list --ledger campaigns.db",
    ),
    Explanation(
        code="config.closed",
        what=N_("The client was closed."),
        sent=N_("Nothing by this call."),
        do=N_("Make a new client, and keep it for the life of the program."),
        example="async with AsyncVavaSMS() as sms: ...",
    ),
    Explanation(
        code="config.fork",
        what=N_(
            "It was made before the process forked, and belongs to the parent: an open database, or a client "
            "with a call under way or a transport of its own. Any other client is at work in the child too."
        ),
        sent=N_("Nothing by this call."),
        do=N_("Make it in the child process, after the fork."),
        example="os.register_at_fork(after_in_child=make_client)",
    ),
    Explanation(
        code="config.event_loop",
        what=N_("It is in use in another event loop, or under another async library."),
        sent=N_("Nothing by this call."),
        do=N_("Make one for each event loop."),
        example="async with AsyncVavaSMS() as sms: ...",
    ),
    Explanation(
        code="config.asyncio_only",
        what=N_("PostgreSQL was used under trio."),
        sent=N_("No: nothing was sent."),
        do=N_("Run it under asyncio, or keep the ledger in a file."),
        example="asyncio.run(main())",
    ),
    Explanation(
        code="config.own_thread",
        what=N_("A hook called the client in the thread that does the client's work."),
        sent=N_("Nothing by this call."),
        do=N_("Call it in another thread; let the hook only take notes."),
        example="queue.put(info)",
    ),
    Explanation(
        code="config.real_gateway",
        what=N_("A test would have reached the real gateway, and was stopped."),
        sent=N_("No: nothing was sent."),
        do=N_("Use the sandbox in tests."),
        example="def test_it(vavasms_sandbox): ...",
    ),
    Explanation(
        code="usage.options",
        what=N_("Two options exclude each other, or one lacks the other that it goes with."),
        sent=N_("No."),
        do=N_("Leave one out, or add the one that the error names."),
        example="vavasms campaign report ID --format csv --excel",
    ),
    Explanation(
        code="usage.output_file",
        what=N_("The file of --output cannot be written, or there is one of this name already."),
        sent=N_("No."),
        do=N_("Name another file, in a folder that you may write to."),
        example="vavasms campaign report ID --format csv --output report.csv",
    ),
    Explanation(
        code="usage.value",
        what=N_("The value of an option is out of its range."),
        sent=N_("No."),
        do=N_("Give a value in the range that the error names."),
        example="vavasms campaign track ID --for 600",
    ),
    Explanation(
        code="usage.standard_input",
        what=N_("Both the list and the text were to come from standard input."),
        sent=N_("No."),
        do=N_("Keep one of them in a file."),
        example="vavasms campaign plan - --message-file text.txt",
    ),
    Explanation(
        code="usage.no_input",
        what=N_("The text or the list was to come from standard input, and there is none."),
        sent=N_("No: nothing was sent."),
        do=N_("Name a file, or run the command in a terminal or behind a pipe."),
        example="vavasms send +2250700000001 --message-file text.txt",
    ),
    Explanation(
        code="usage.nobody_to_ask",
        what=N_("The command asks before it goes on, and there is no terminal to answer on."),
        sent=N_("No: nothing was sent, and nothing was changed."),
        do=N_("Run it in a terminal, or add --yes, which answers beforehand."),
        example="vavasms campaign run contacts.csv --message Bonjour --yes",
    ),
    Explanation(
        code="usage.not_confirmed",
        what=N_("The word that was asked for was not typed."),
        sent=N_("No: nothing was sent, and nothing was changed."),
        do=N_("Run it again and type the word: yes and oui are the same."),
        example="vavasms sends purge --older-than 90d",
    ),
    Explanation(
        code="usage.words",
        what=N_(
            "The words of the command are wrong: an unknown command or option, or one too many or too few."
        ),
        sent=N_("No: the command did not begin."),
        do=N_("Look at the command's help; put a text that has spaces in quotes."),
        example="vavasms send --help",
    ),
    Explanation(
        code="usage.language",
        what=N_("--lang names a language that is not spoken here."),
        sent=N_("No: the command did not begin."),
        do=N_("Name en or fr, or leave it out: VAVASMS_LANG and the locale decide then."),
        example="vavasms --lang fr balance",
    ),
    Explanation(
        code="usage.demo",
        what=N_("The demo was asked for a list or a number of workers that it does not do."),
        sent=N_("No: nothing was sent."),
        do=N_("Ask for 1 to 1,000,000 rows and, if any, 2 to 16 workers."),
        example="vavasms demo --rows 500 --workers 3",
    ),
    Explanation(
        code="fault",
        what=N_("A fault of vavasms itself."),
        sent=N_("It is not known: look at the report of the campaign, or at the sends of the key."),
        do=N_("Run it with VAVASMS_DEBUG=1 and report what it shows; take numbers and texts out first."),
        example="VAVASMS_DEBUG=1 vavasms balance",
    ),
    Explanation(
        code="interrupted",
        what=N_("The command was interrupted, by Ctrl-C or by the system."),
        sent=N_("What had left is in the account; nothing further is sent."),
        do=N_(
            "Read the line that was printed: a campaign can be resumed, a single send under a key "
            "can be run again."
        ),
        example="vavasms campaign resume ID",
    ),
)
