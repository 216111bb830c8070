"""The page is fast with 50,000 messages behind it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest
from attrs import frozen

from tests.browser.desk import Desk
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.slow

AMA, NEW = "2250700000121", "22507010{:05d}"
MESSAGES, SENT = 50_000, 10
#: Seconds, on 2 cores with nothing else to do.
FIRST_PAINT, SHOWN = 1.0, 0.5
#: How much slower a machine may be that does other things at the same time.
BUSY = 5

# Two frames after a change the browser has painted it.
_NOTE_ARRIVALS = """() => {
    window.arrivals = {};
    const look = () => {
        const text = document.body.innerText;
        for (const [mark] of text.matchAll(/mark-[0-9]+-end/g)) {
            if (!(mark in window.arrivals)) {
                window.arrivals[mark] = 0;
                requestAnimationFrame(() => requestAnimationFrame(() => {
                    window.arrivals[mark] = Date.now() / 1000;
                }));
            }
        }
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""
# It asks for no icon.
_BLANK = '<!doctype html><title>blank</title><link rel="icon" href="data:,">'
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@frozen
class Speed:
    """Hold what was measured, in seconds."""

    first_paint: float
    #: From acceptance to the painted message, each.
    shown: list[float]


def _fill(server: SandboxServer) -> None:
    """Fill the journal: a few thousand numbers, some of them often, and large lots."""
    gateway = server.gateway
    gateway.set_balance(10**9)
    login = {"username": gateway.username, "password": gateway.password, "sender_id": "ACME"}
    lot = ",".join(f"2250709{n:06d}" for n in range(100))
    texts = MESSAGES * 2 // 5
    for n in range(texts):
        phone, message = f"225050{n % 4000:07d}", f"Votre commande {n} est prête."
        gateway.handle("/v1/text/single", {**login, "phone": phone, "message": message})
    for n in range((MESSAGES - texts) // 100):
        gateway.handle("/v1/text/single", {**login, "phone": lot, "message": f"Promotion {n}"})


def _measure(desk: Desk) -> Speed:
    page = desk.page
    assert desk.server.gateway.journal.recipients >= MESSAGES
    first_paint = float(page.wait_for_function(_PAINT).json_value()) / 1000
    desk.sms.send(AMA, "Bonjour")
    desk.show(AMA)
    page.evaluate(_NOTE_ARRIVALS)
    # Half of them to the open conversation, half to numbers that were not there.
    shown = [_send(desk, AMA if n % 2 else NEW.format(n), f"mark-{n}-end") for n in range(SENT)]
    return Speed(first_paint, shown)


def _send(desk: Desk, to: str, mark: str) -> float:
    desk.sms.send(to, mark)
    accepted = desk.server.gateway.journal.entries_after(0)[-1].time
    arrival = desk.page.wait_for_function("mark => window.arrivals[mark]", arg=mark)
    return float(arrival.json_value()) - accepted


@pytest.fixture
def speed(server: SandboxServer, new_desk: Callable[..., Desk], capsys: pytest.CaptureFixture[str]) -> Speed:
    """Measure from the first look at a full journal on, and say it."""
    _fill(server)
    desk = new_desk(opened=False)
    # The page is looked at for the first time, but not by a browser that is still starting.
    desk.page.route("**/warm", lambda route: route.fulfill(content_type="text/html", body=_BLANK))
    desk.page.goto(f"{server.origin}/warm")
    desk.open()
    speed = _measure(desk)
    with capsys.disabled():
        print(
            f"\n50,000 messages: first paint {speed.first_paint * 1000:.0f} ms; a new message shown after"
            f" {median(speed.shown) * 1000:.0f} ms (median), {max(speed.shown) * 1000:.0f} ms (longest)"
        )
    return speed


def test_fifty_thousand_messages_do_not_hold_the_page_up(speed: Speed) -> None:
    assert speed.first_paint < BUSY * FIRST_PAINT
    assert median(speed.shown) < BUSY * SHOWN


@pytest.mark.full
def test_first_paint_within_a_second_and_a_new_message_within_half(speed: Speed) -> None:
    assert speed.first_paint < FIRST_PAINT
    assert max(speed.shown) < SHOWN
