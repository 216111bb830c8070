"""Receiving, and the sandbox."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="inbound.body",
        what=N_("The body that was posted is no inbound SMS: its id or sender is missing, or it is broken."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Compare it with what the platform posts."),
        example="vavasms inbound trigger --from +2250700000001 --text Bonjour",
    ),
    Explanation(
        code="inbound.token",
        what=N_("The token of the receiver is missing, can be guessed or does not fit a URL."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Draw one with make_token()."),
        example='python -c "from vavasms.inbound.tokens import make_token; print(make_token())"',
    ),
    Explanation(
        code="inbound.address",
        what=N_("An address of allow or trusted_proxies cannot be read."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give a list of addresses or networks."),
        example='InboundApp(on_sms, token=token, allow=["203.0.113.0/24"])',
    ),
    Explanation(
        code="inbound.stop_word",
        what=N_("A stop word of your own has no letter and no digit."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give words or phrases."),
        example='InboundApp(on_sms, token=token, stop_words=["ASSEZ"])',
    ),
    Explanation(
        code="inbound.port",
        what=N_(
            "The receiver cannot listen at this address: no IP address, no such port, or another "
            "program has it."
        ),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Choose another port, or 0 for any free one."),
        example="vavasms inbound listen --port 0",
    ),
    Explanation(
        code="inbound.url",
        what=N_("The URL of the receiver is missing, cannot be read, or would show its token on the way."),
        sent=N_("Nothing was posted."),
        do=N_(
            "Take the URL that `vavasms inbound listen` prints; elsewhere than on this machine it "
            "begins with https://."
        ),
        example="vavasms inbound trigger --url http://127.0.0.1:8426/t --from +2250700000001 --text Bonjour",
    ),
    Explanation(
        code="inbound.seen",
        what=N_("--seen names something that is no file's path."),
        sent=N_("Nothing is sent by a receiver."),
        do=N_("Give the path of a file."),
        example="vavasms inbound listen --seen seen.db",
    ),
    Explanation(
        code="inbound.seen_busy",
        what=N_("Another process has the store of handled SMS to itself and does not answer."),
        sent=N_("Nothing is sent by a receiver; the platform posts the SMS again."),
        do=N_("Look for a receiver that is suspended, and end it."),
        example="vavasms inbound listen --seen seen.db",
    ),
    Explanation(
        code="inbound.refused",
        what=N_("The receiver answered the posted SMS with a refusal."),
        sent=N_("Nothing is sent by this command."),
        do=N_("404: the token is wrong; 400: the fields are; 500: its handler failed, see its log."),
        example="vavasms inbound trigger --from +2250700000001 --text Bonjour",
    ),
    Explanation(
        code="sandbox.port",
        what=N_("The port that the sandbox should listen on is no port, is taken, or may not be used."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Choose another port, or 0 for any free one."),
        example="vavasms sandbox --port 0",
    ),
    Explanation(
        code="sandbox.host",
        what=N_("The sandbox listens on this machine only, and was given another address."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Leave the host out, or give 127.0.0.1 or ::1."),
        example="SandboxServer(host='127.0.0.1')",
    ),
    Explanation(
        code="sandbox.start",
        what=N_("The sandbox could not start, mostly for its certificate or key."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Check that both files are there and belong together, or leave TLS out."),
        example="SandboxServer(ssl_certfile='cert.pem', ssl_keyfile='key.pem')",
    ),
    Explanation(
        code="sandbox.inbound_url",
        what=N_(
            "The URL that a handset's replies are posted to is missing, is none, or is on another machine."
        ),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_(
            "Give the URL of your receiver on this machine; for another machine add --allow-remote-inbound."
        ),
        example="vavasms sandbox --inbound-url http://127.0.0.1:8426/TOKEN",
    ),
    Explanation(
        code="sandbox.not_running",
        what=N_("Something was asked of a sandbox that does not run."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Do it inside its with block."),
        example="with SandboxServer() as server: server.drop_connections()",
    ),
    Explanation(
        code="sandbox.needs_server",
        what=N_("The fault happens to a connection, and the application was called without one."),
        sent=N_("No: the request was refused before anything was accepted."),
        do=N_("Run the sandbox as a server."),
        example="with SandboxServer() as server: print(server.url)",
    ),
    Explanation(
        code="sandbox.fault",
        what=N_(
            "A fault was described that cannot be: a moment that its kind does not know, or no HTTP status."
        ),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Read the sentence: it names what fits."),
        example="Fault(kind=FaultKind.STATUS, status=503)",
    ),
    Explanation(
        code="sandbox.rates",
        what=N_("The rates of the faults are no probabilities, or come to more than 1 together."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Lower them, or clear the faults first."),
        example="faults.set_rates({Fault(kind=FaultKind.STALL): 0.1})",
    ),
    Explanation(
        code="sandbox.request",
        what=N_("A request to the sandbox's own interface, under /sandbox/, cannot be read."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Read the sentence: it names the field and what fits."),
        example="curl http://127.0.0.1:8425/sandbox/faults",
    ),
    Explanation(
        code="sandbox.demo_database",
        what=N_("The PostgreSQL that the demo brings does not start on this machine."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Run the demo without workers; VAVASMS_DEBUG=1 shows more."),
        example="vavasms demo --rows 500",
    ),
    Explanation(
        code="sandbox.demo_worker",
        what=N_("A worker of the demo ended before its time; its last words follow."),
        sent=N_("No: the sandbox sends nothing to anybody."),
        do=N_("Run the demo with VAVASMS_DEBUG=1, which shows all that the worker said."),
        example="VAVASMS_DEBUG=1 vavasms demo --workers 3",
    ),
)
