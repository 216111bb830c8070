"""The command line: opens, calls, prints."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError

from vavasms.cli import exit_codes, output
from vavasms.cli.language import find_language, take_language
from vavasms.cli.words import read_amounts, wants_json, wants_json_logs
from vavasms.errors import InvalidInputError, InvalidNumberError, Outcome, VavaSMSError
from vavasms.i18n import gettext as _
from vavasms.i18n import language_set, set_language, translate, with_options

__all__ = ["run"]

_silence = logging.NullHandler()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Whatever goes wrong is one line on standard error, which ends with the code that `vavasms explain` looks
    up; with `--json` it is an object, in English. `VAVASMS_DEBUG=1` adds the traceback. Help stays in the
    language of the first call of a process, in which the commands are made.
    """
    output.prepare_streams()
    # First, since what is said of a wrong `--lang` is said in a language too.
    before = set_language(find_language(os.environ))
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        set_language(before)


def _run(words: list[str]) -> int:
    # What they log is said in the errors, and without a handler Python prints it on standard error.
    for name in ("procrastinate", "psycopg", "vavasms"):
        logging.getLogger(name).addHandler(_silence)
    try:
        language, words = take_language(words)
        if language is not None:
            set_language(language)
        if sorted(words) == ["--verbose", "--version"]:
            # Here, since nothing else needs it.
            from vavasms.cli.version import show_versions

            return show_versions()
        # Here, since the help of each command is made in the language as its module is read.
        from vavasms.cli.app import app

        code = app(read_amounts(words), console=output.output())
        sys.stdout.flush()
        return code if isinstance(code, int) else exit_codes.DONE
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.READER_LEFT
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the last place: every error ends in one line
        if os.environ.get("VAVASMS_DEBUG"):
            traceback.print_exc()
        return _report(error, words)


def _report(error: BaseException, words: Sequence[str]) -> int:
    """Print what went wrong; return the exit code."""
    is_log = wants_json_logs(words)
    if not (is_log or wants_json(words)):
        code, sentence = _judge(error, sends=_may_send(words))
        if isinstance(error, VavaSMSError):
            # Here, since a program that reads JSON has no need of it.
            from vavasms.cli.advice import advise

            sentence = finish(error, advise(error, words), sends=_may_send(words))
        output.fail(sentence, _code_of(error))
        return code
    with language_set("en"):
        # What programs read is the same of every command.
        code, sentence = _judge(error, sends=True)
    outcome = error.outcome if isinstance(error, VavaSMSError) else None
    word = None if outcome is None else outcome.value
    if is_log:
        output.log("error", sentence, code=_code_of(error), outcome=word)
    else:
        output.fail_json(sentence, _code_of(error), word)
    return code


def _may_send(words: Sequence[str]) -> bool:
    """Return whether a command could have sent; one that is none was perhaps meant to."""
    # Here, since the language of the commands is chosen first.
    from vavasms.cli.app import COMMANDS

    names = {tuple(command.name.split()): command.sends for command in COMMANDS}
    return names.get(tuple(words[:2]), names.get(tuple(words[:1]), True))


def _judge(error: BaseException, *, sends: bool) -> tuple[int, str]:
    """Choose the exit code and the one sentence of an error."""
    if isinstance(error, CycloptsError):
        # Here, since `vavasms --help` does without it and what it imports.
        from vavasms.cli.usage_errors import explain

        return exit_codes.USAGE, explain(error, sends=sends)
    if isinstance(error, VavaSMSError):
        return exit_codes.code_of(error), describe(error, sends=sends)
    if isinstance(error, KeyboardInterrupt):
        return exit_codes.INTERRUPTED, _interrupted(error)
    name = type(error).__name__
    return exit_codes.OUR_FAULT, _(
        "A fault of vavasms itself ({name}); VAVASMS_DEBUG=1 shows where", name=name
    )


def _code_of(error: BaseException) -> str:
    if isinstance(error, VavaSMSError):
        return error.error_code
    if isinstance(error, CycloptsError):
        return "usage.words"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "fault"


def describe(error: VavaSMSError, *, sends: bool = True) -> str:
    """Return what went wrong and, of a command that `sends`, whether something was sent."""
    return finish(error, translate(with_options(error.args[0])), sends=sends)


def finish(error: VavaSMSError, sentence: str, *, sends: bool) -> str:
    """Return the sentence of an error with the names of options and with what became of a send."""
    sentence = sentence.rstrip(".")
    if isinstance(error, InvalidInputError) and error.argument is not None:
        option = f"--{error.argument.replace('_', '-')}"
        # Whoever types an option knows no Decimal.
        sentence = re.sub(rf"^{re.escape(error.argument)}\b", option, sentence)
        sentence = sentence.replace(_("a Decimal"), _("an amount"))
    if isinstance(error, InvalidNumberError) and error.suggestion is not None:
        number = f"+{error.suggestion}"
        if number not in sentence:
            sentence += ". " + _("The suggestion is {number}", number=number)
    is_said = re.search("nothing (more )?was sent", error.english.lower())
    if sends and error.outcome is Outcome.NOT_SENT and not is_said:
        sentence += ". " + _("Nothing was sent")
    return sentence


def _interrupted(error: KeyboardInterrupt) -> str:
    notes = [translate(note).removeprefix("vavasms: ") for note in getattr(error, "__notes__", ())]
    return _("Interrupted: {note}", note=notes[0]) if notes else _("Interrupted")
