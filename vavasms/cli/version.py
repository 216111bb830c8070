"""`vavasms --version --verbose`: what a report of a fault needs, the same in every language."""

from __future__ import annotations

from vavasms.cli import exit_codes, output
from vavasms.doctor.local import list_versions


def show_versions() -> int:
    """Print the versions of the program, of what it runs on and of its packages, one a line; no setting."""
    for name, version in list_versions().items():
        output.say(f"{name} {version}")
    return exit_codes.DONE
