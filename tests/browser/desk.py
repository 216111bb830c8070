"""What a browser test has in its hands: the page, what stands behind it, and who watches."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from attrs import Factory, define, frozen
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Locator, Page, expect

from vavasms import InboundMessage, VavaSMS
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.tokens import make_token
from vavasms.sandbox import SandboxServer

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_OWN_SCHEMES = {"about", "blob", "data"}
# More stops than any page of ours has.
_STOPS = 80


# Playwright keeps something on the object whose method it calls.
@define(slots=False)
class Watch:
    """Note whatever no page of ours may do."""

    #: Console errors (a violation of the content policy is one), uncaught errors, dialogs, foreign requests.
    problems: list[str] = Factory(list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.on("console", self._hear)
        context.on("weberror", lambda one: self.problems.append(f"uncaught: {one.error}"))
        context.on("request", lambda one: self._judge(one.url))
        context.on("dialog", self._dismiss)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.problems.append(f"console: {said.text}")

    def _judge(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _OWN_SCHEMES and parts.hostname not in _LOOPBACK:
            self.problems.append(f"a request to {url}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@frozen
class Receiver:
    """A real inbound app behind a real socket."""

    #: Its URL, with the token.
    url: str
    #: What its handler was given.
    messages: Queue[InboundMessage]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run an `InboundApp` under uvicorn in a thread."""
    token, messages = make_token(), Queue[InboundMessage]()
    app = InboundApp(messages.put, token=token)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            # Whoever connects before it accepts waits in the backlog.
            yield Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}/{token}", messages)
        finally:
            server.should_exit = True
            thread.join(10)


@frozen(kw_only=True)
class Desk:
    """A page, the sandbox that serves it, and a client of the sandbox."""

    page: Page
    server: SandboxServer
    sms: VavaSMS

    def open(self) -> None:
        """Load the page and wait until it hears of what is new."""
        self.page.goto(self.server.origin + "/", wait_until="load")
        expect(self.page.locator("#link")).to_have_attribute("data-state", "live")

    def at(self, name: str) -> Locator:
        """Find by `data-testid`."""
        return self.page.get_by_test_id(name)

    def turn_to_gateway(self) -> None:
        """Bring balance and chaos into view: in a narrow window they are behind a tab."""
        tab = self.page.locator('[data-tab="gateway"]')
        if tab.is_visible():
            tab.click()
        expect(self.at("chaos-panel")).to_be_visible()

    def planned(self) -> Locator:
        """Find the faults that the chaos panel says are planned."""
        return self.at("chaos-pending").locator("li:not(.empty)")

    def conversation(self, phone: str) -> Locator:
        """Find the conversation with a number, digits without `+`."""
        return self.page.locator(f'[data-testid="conversation"][data-phone="{phone}"]')

    def message(self, message_id: str) -> Locator:
        """Find a message in the thread."""
        return self.page.locator(f'[data-testid="message"][data-message-id="{message_id}"]')

    def show(self, phone: str) -> Locator:
        """Open the conversation with a number; give the thread."""
        self.conversation(phone).click()
        expect(self.at("thread")).to_be_visible()
        expect(self.at("thread")).to_have_attribute("data-phone", phone)
        return self.at("thread")

    def tab_to(self, wanted: Locator) -> list[Any]:
        """Press Tab until `wanted` has the focus; give the stops on the way that show no focus."""
        unseen = []
        for _ in range(_STOPS):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(_STOP)
            if not stop["shown"]:
                unseen.append(stop["name"])
            if wanted.count() and wanted.first.evaluate("one => one === document.activeElement"):
                return unseen
        raise AssertionError(f"no Tab of {_STOPS} reaches {wanted}")


def judge(page: Page, axe: str) -> list[str]:
    """List what is serious or critical, each with the place it was found at."""
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then(result => result.violations)")
    return [
        f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


_STOP = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    const ringed = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    return {
        name: one.dataset.testid || one.outerHTML.slice(0, 120),
        shown: one === document.body || ringed || style.boxShadow !== 'none',
    };
}"""
