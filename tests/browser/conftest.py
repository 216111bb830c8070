"""A real browser before a real sandbox, a real client and a real receiver; skipped where there is no Chromium."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.campaign_desk import DeskProcess, DeskTab, desk_of
from tests.browser.desk import Desk, Receiver, Watch, receiving
from vavasms import VavaSMS
from vavasms.sandbox import Gateway, SandboxServer
from vavasms.sandbox.inbox import Inbound
from vavasms.transport.http import post_form

#: How long a busy machine may take over what takes milliseconds.
PATIENCE = 30_000
_HERE = Path(__file__).parent
#: The screenshots that are kept, for README and for the guide, and where: none may be larger.
KEPT = {
    **dict.fromkeys(
        (
            "inbox-wide-light",
            "inbox-wide-dark",
            "inbox-narrow-dark",
            "messages-narrow-light",
            "desk-wide-light",
        ),
        _HERE / "screenshots",
    ),
    **dict.fromkeys(("inbox-en", "inbox-fr"), _HERE.parents[1] / "vavasms" / "guide" / "pictures"),
}
MOST_BYTES = 120_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Start one Chromium for all tests of this folder.

    Not for the session: while it is open an event loop runs in this thread, in which no other test could start
    its own.
    """
    path = os.environ.get("VAVASMS_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: `apt-get install chromium`, or name one in VAVASMS_TEST_CHROMIUM")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if is_root else [])
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fail the test by what no page may do; one that provokes it takes it out again."""
    watch = Watch()
    yield watch
    assert watch.problems == []


@pytest.fixture(scope="package")
def _receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def receiver(_receiver: Receiver) -> Receiver:
    """Return a real inbound app that has heard nothing yet."""
    while not _receiver.messages.empty():
        _receiver.messages.get()
    return _receiver


@pytest.fixture
def server(receiver: Receiver) -> Iterator[SandboxServer]:
    """Serve a sandbox whose handsets answer the receiver."""
    inbound = Inbound(url=receiver.url, post=post_form)
    with SandboxServer(Gateway(sent_after=0.3, delivered_after=0.6), inbound=inbound) as running:
        yield running


@pytest.fixture
def sms(server: SandboxServer) -> Iterator[VavaSMS]:
    gateway = server.gateway
    with VavaSMS(
        gateway.username, gateway.password, sender_id="ACME", base_url=server.url, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def new_desk(
    chromium: Browser, watch: Watch, server: SandboxServer, sms: VavaSMS
) -> Iterator[Callable[..., Desk]]:
    """Open the inbox, or an empty page, in a context of its own; options as of a browser's context."""
    contexts = []

    def open_desk(*, opened: bool = True, **options: Any) -> Desk:
        context = chromium.new_context(**{"locale": "fr-FR", **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        desk = Desk(page=context.new_page(), server=server, sms=sms)
        if opened:
            desk.open()
        return desk

    yield open_desk
    for context in contexts:
        context.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """Open the inbox in French."""
    return new_desk()


@pytest.fixture
def new_tab(chromium: Browser, watch: Watch) -> Iterator[Callable[..., DeskTab]]:
    """Come to a desk by its link in a browser of its own; options as of a browser's context."""
    contexts = []

    def open_tab(process: DeskProcess, **options: Any) -> DeskTab:
        context = chromium.new_context(**{"locale": "en-GB", **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        watch.over(context)
        tab = DeskTab(page=context.new_page(), desk=process)
        tab.enter()
        return tab

    yield open_tab
    for context in contexts:
        context.close()


@pytest.fixture
def desk_process(server: SandboxServer, tmp_path: Path) -> Iterator[DeskProcess]:
    """Run `vavasms desk` on a new ledger."""
    with desk_of(server, tmp_path / "ledger.db") as process:
        yield process


@pytest.fixture
def tab(desk_process: DeskProcess, new_tab: Callable[..., DeskTab]) -> DeskTab:
    """Open the first page of a desk in English."""
    # In this order: pages that ask a desk that is gone fill the console.
    return new_tab(desk_process)


@pytest.fixture(scope="package")
def snap() -> Callable[[Page, str], None]:
    """Write a screenshot to its folder, where VAVASMS_WRITE_SCREENSHOTS=1 asks for it."""

    def write(page: Page, name: str) -> None:
        if os.environ.get("VAVASMS_WRITE_SCREENSHOTS") != "1" or name not in KEPT:
            return
        image = pytest.importorskip("PIL.Image", reason="Pillow makes the screenshots small")
        taken = image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide")))
        path = KEPT[name] / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        taken.convert("RGB").quantize(96, dither=0).save(path, "PNG", optimize=True)
        assert path.stat().st_size < MOST_BYTES

    return write


@pytest.fixture(scope="package")
def axe() -> str:
    """Return the script of axe-core."""
    bundle = pytest.importorskip("axe_playwright_python", reason="axe-core is in the extra `dev`")
    return (files(bundle) / "axe.min.js").read_text("utf-8")
