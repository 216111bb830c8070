"""The command line: opens, calls, prints."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError

from vavasms.cli import exit_codes, output
from vavasms.cli.app import app
from vavasms.errors import InvalidInputError, InvalidNumberError, Outcome, VavaSMSError

__all__ = ["run"]

_silence = logging.NullHandler()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Whatever goes wrong is one line on standard error. `VAVASMS_DEBUG=1` adds the traceback.
    """
    output.prepare_streams()
    # What they log is said in the errors, and without a handler Python prints it on standard error.
    for name in ("procrastinate", "psycopg", "vavasms"):
        logging.getLogger(name).addHandler(_silence)
    try:
        code = app(list(sys.argv[1:] if arguments is None else arguments), console=output.output())
        sys.stdout.flush()
        return code if isinstance(code, int) else exit_codes.DONE
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.READER_LEFT
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the last place: every error ends in one line
        if os.environ.get("VAVASMS_DEBUG"):
            traceback.print_exc()
        code, sentence = _judge(error)
    output.fail(sentence)
    return code


def _judge(error: BaseException) -> tuple[int, str]:
    """Choose the exit code and the one sentence of an error."""
    if isinstance(error, CycloptsError):
        # Here, since `vavasms --help` does without it and what it imports.
        from vavasms.cli.usage_errors import explain

        return exit_codes.USAGE, explain(error)
    if isinstance(error, VavaSMSError):
        return exit_codes.code_of(error), describe(error)
    if isinstance(error, KeyboardInterrupt):
        return exit_codes.INTERRUPTED, _interrupted(error)
    name = type(error).__name__
    return exit_codes.OUR_FAULT, f"A fault of vavasms itself ({name}); VAVASMS_DEBUG=1 shows where"


def describe(error: VavaSMSError) -> str:
    """Return what went wrong and, of a send, whether something was sent."""
    sentence = str(error).rstrip(".")
    if isinstance(error, InvalidInputError) and error.argument is not None:
        option = f"--{error.argument.replace('_', '-')}"
        # Whoever types an option knows no Decimal.
        sentence = sentence.replace(error.argument, option, 1).replace("a Decimal", "an amount")
    if isinstance(error, InvalidNumberError) and error.suggestion is not None:
        sentence += f". The suggestion is +{error.suggestion}"
    if error.outcome is Outcome.NOT_SENT and "nothing was sent" not in sentence.lower():
        sentence += ". Nothing was sent"
    return sentence


def _interrupted(error: KeyboardInterrupt) -> str:
    notes = [note.removeprefix("vavasms: ") for note in getattr(error, "__notes__", ())]
    return ": ".join(["Interrupted", *notes[:1]])
