"""`vavasms desk` as people start it, in a process of its own, and what they do on its pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from attrs import frozen
from playwright.sync_api import Locator, Page, expect

from tests.cli.processes import start
from vavasms.sandbox import Fault, FaultKind, SandboxServer

ROOT = Path(__file__).parents[2]
#: The call by which campaigns send.
SENDING = "/v1/text/single"
#: The outcomes of recipients, as a campaign's page names them.
OUTCOMES = ("accepted", "rejected", "not-sent", "unknown", "left")
#: The answer is lost, and the SMS is not.
LOST = Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING)
#: How long ten thousand rows may take on a busy machine, in milliseconds.
LONG = 60_000
_REPORTED = """() => Object.fromEntries(
    [...document.querySelectorAll('[data-figure]')].map(one => [one.dataset.figure, Number(one.value)]))"""

# More stops than any page of the desk has.
_STOPS, _PARTS = 80, 30
_MARK = """() => {
    for (const one of document.querySelectorAll('details')) one.open = true;
    const marks = {}, every = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
    [...document.querySelectorAll(every)].filter(one => one.checkVisibility()).forEach((one, place) => {
        one.dataset.mark = place;
        marks[place] = one.outerHTML.slice(0, 120);
    });
    return marks;
}"""
# A hidden input of files shows its focus on its label.
_STOP = """() => {
    const one = document.activeElement, isHidden = one.classList.contains('hidden');
    const style = getComputedStyle(isHidden ? one.labels[0] : one);
    return {
        mark: one.dataset.mark ?? '',
        name: one.outerHTML.slice(0, 120),
        shown: one === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0),
    };
}"""


@frozen(kw_only=True)
class DeskProcess:
    """A desk before a sandbox."""

    server: SandboxServer
    ledger: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[str]

    def link(self) -> str:
        """Return a link that opens it: each opens it once, and brings the next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the desk has ended"
        url: str = json.loads(line)["url"]
        return url

    def call(self, *arguments: str) -> int:
        """Run another command on the same ledger; return its exit code."""
        command = [sys.executable, "-m", "vavasms", *arguments, "--ledger", str(self.ledger)]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.ledger.parent,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode


@contextmanager
def desk_of(server: SandboxServer, ledger: Path) -> Iterator[DeskProcess]:
    """Run a desk on a ledger while the block runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VAVASMS_")}
    environment = kept | server.settings | {"PYTHONPATH": str(ROOT), "VAVASMS_LANG": "en"}
    environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    command = [sys.executable, "-m", "vavasms", "desk", "--port", "0", "--ledger", str(ledger), "--json"]
    options: dict[str, Any] = {"env": environment, "cwd": ledger.parent}
    with start(command, **options) as process:
        yield DeskProcess(server=server, ledger=ledger, environment=environment, process=process)


@frozen(kw_only=True)
class DeskTab:
    """A page of a browser that was let in."""

    page: Page
    desk: DeskProcess

    def at(self, name: str) -> Locator:
        """Find by `data-testid`."""
        return self.page.get_by_test_id(name)

    def enter(self) -> None:
        """Come by the link."""
        link = self.desk.link()
        self.page.goto(link)
        self.page.wait_for_url(link.partition("open?")[0])

    def see(self, path: str) -> None:
        """Load a page by its path."""
        self.page.goto(urljoin(self.page.url, path))

    def beside(self) -> DeskTab:
        """Open another tab of the same browser."""
        page = self.page.context.new_page()
        page.goto(self.page.url)
        return DeskTab(page=page, desk=self.desk)

    def drop(self, path: Path) -> None:
        """Choose a list on the first page, and wait until it is read."""
        self.at("file").set_input_files(path)
        expect(self.page.locator("#message")).to_be_visible(timeout=LONG)

    def type_numbers(self, *numbers: str) -> None:
        """Type numbers in place of a list, and wait until they are read."""
        self.page.locator("summary", has_text=re.compile("numbers|numéros")).click()
        self.page.locator("#numbers").fill("\n".join(numbers))
        self.page.locator("form[action='/lists'] button").click()
        expect(self.page.locator("#message")).to_be_visible()

    def write(self, text: str, **limits: str) -> None:
        """Write the text of a draft, and limits by the names of their fields."""
        self.page.locator("#message").fill(text)
        for name, value in limits.items():
            one = self.page.locator(f"#{name}")
            if not one.is_visible():
                self.page.locator("details", has=one).locator("summary").click()
            one.fill(value)

    def plan(self) -> None:
        """Go from a draft to its plan, and wait for it."""
        self.at("to-plan").click()
        expect(self.at("go")).to_be_visible(timeout=LONG)

    def recipients(self) -> int:
        """Return how many will be sent to, by a draft or a plan."""
        return _read(self.at("recipients"))

    def go(self, count: int | None = None) -> None:
        """Type the number of recipients, and press the go."""
        self.page.locator("#count").fill(str(self.recipients() if count is None else count))
        self.at("go").click()

    def begin(self) -> None:
        """Press the go, and wait for the campaign's page."""
        self.go()
        self.page.wait_for_url(re.compile("/campaigns/"), timeout=LONG)

    def send(self, text: str, *numbers: str, **limits: str) -> None:
        """Begin a campaign to numbers that are typed, from the first page."""
        self.see("/")
        self.type_numbers(*numbers)
        self.write(text, **limits)
        self.plan()
        self.begin()

    def await_state(self, state: str) -> None:
        """Wait until the campaign of the page is in a state."""
        expect(self.page.locator(f".state.{state}")).to_be_visible(timeout=LONG)

    def outcomes(self) -> dict[str, int]:
        """Return the figures of a campaign's page."""
        return {name: _read(self.at(name)) for name in OUTCOMES}

    def stops(self) -> list[str]:
        """Press Tab once around the page; return what it does not reach, or reaches without showing it."""
        left: dict[str, str] = self.page.evaluate(_MARK)
        unseen = []
        # A date has a stop for each of its parts.
        for _ in range(len(left) + _PARTS):
            stop = self._tab()
            if not stop["shown"]:
                unseen.append(f"not shown: {stop['name']}")
            left.pop(stop["mark"], None)
        return [*unseen, *(f"not reached: {name}" for name in left.values())]

    def tab_to(self, wanted: Locator) -> None:
        """Press Tab until something has the focus, and shows it."""
        for _ in range(_STOPS):
            stop = self._tab()
            if wanted.evaluate("one => one === document.activeElement"):
                assert stop["shown"], stop["name"]
                return
        raise AssertionError(f"no Tab of {_STOPS} reaches {wanted}")

    def _tab(self) -> dict[str, Any]:
        self.page.keyboard.press("Tab")
        stop: dict[str, Any] = self.page.evaluate(_STOP)
        return stop

    def reported(self) -> dict[str, int]:
        """Open the report; return its figures by their names."""
        self.at("report").click()
        self.page.wait_for_selector("[data-figure]", timeout=LONG)
        found: dict[str, int] = self.page.evaluate(_REPORTED)
        return found


def _read(figure: Locator) -> int:
    """Return a number of a page, whatever stands between its thousands."""
    return int(re.sub(r"\D", "", figure.inner_text()))
