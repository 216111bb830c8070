"""How help is printed: cyclopts' own way, its fixed words in the language that was chosen."""

from __future__ import annotations

from collections.abc import Iterator

from cyclopts.help import DefaultFormatter, DescriptionRenderer, HelpEntry, HelpPanel
from cyclopts.help.specs import ColumnSpec, DefaultStyled, get_default_parameter_columns
from rich.console import Console, ConsoleOptions
from rich.text import Text

from vavasms.i18n import gettext as _
from vavasms.i18n import gettext_noop as N_

#: What stands for a value. The names of arguments, which cyclopts makes of Python's, are among them.
PLACEHOLDERS = (
    N_("CC"),
    N_("CHOICE"),
    N_("CODE"),
    N_("CONTACTS"),
    N_("DIGITS"),
    N_("FILE"),
    N_("HASH"),
    N_("HH:MM-HH:MM"),
    N_("ID"),
    N_("KEY"),
    N_("MESSAGE_ID"),
    N_("MINUTES"),
    N_("N"),
    N_("NAME"),
    N_("NUMBER"),
    N_("PATH|URL"),
    N_("PORT"),
    N_("TEXT"),
    N_("TIME"),
    N_("TO"),
    N_("TOPIC"),
    N_("URL"),
    N_("XOF"),
    N_("ZONE"),
)
_render = DescriptionRenderer()


def show_panel(console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
    """Print the panel of a group of commands, of arguments or of options."""
    columns = _build_columns if panel.format == "parameter" else None
    entries = [_translate(entry) for entry in panel.entries]
    DefaultFormatter(column_specs=columns)(console, options, panel.copy(entries=entries))


def show_usage(console: Console, usage: str) -> None:
    """Print the first line, which has its word already."""
    console.print(DefaultStyled(Text(usage, style="cyclopts.usage")))


def _build_columns(
    console: Console, options: ConsoleOptions, entries: list[HelpEntry]
) -> tuple[ColumnSpec, ...]:
    *others, description = get_default_parameter_columns(console, options, entries)
    return (*others, description.copy(renderer=_describe))


def _translate(entry: HelpEntry) -> HelpEntry:
    label, metavar = entry.positional_label, entry.metavar
    return entry.copy(positional_label=label and _(label), metavar=metavar and _(metavar))


def _describe(entry: HelpEntry) -> object:
    """Return what an option does, and in brackets what it takes."""
    for name, words in _list_brackets(entry):
        entry.description.append(Text(f"[{words}]", f"cyclopts.{name}"))
    return _render(entry.copy(choices=None, env_var=None, default=None, required=False))


def _list_brackets(entry: HelpEntry) -> Iterator[tuple[str, str]]:
    """Yield the brackets, each with the name of its style."""
    if entry.choices:
        yield "choices", _("choices: {choices}", choices=", ".join(entry.choices))
    if entry.env_var:
        yield "env_var", _("env var: {names}", names=", ".join(entry.env_var))
    if entry.default is not None:
        yield "default", _("default: {value}", value=entry.default)
    if entry.required:
        yield "required", _("required")
