"""A desk on which there is something of everything to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from attrs import frozen
from playwright.sync_api import Browser, expect

from tests.browser.campaign_desk import LONG, LOST, SENDING, DeskProcess, DeskTab
from tests.campaigns.staging import connect
from vavasms.campaigns.runner import CampaignRunner
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.sandbox import SandboxServer

AMA, KOFI, AWA = "+2250700000121", "+2250700000122", "+2250700000123"
#: Its answer is lost, by a number that the sandbox knows.
SILENT = "+2250700000444"
#: More than one request takes: at a message in a hundred seconds no test sees the second.
MANY = [f"+2250757{index:06d}" for index in range(120)]
_TEXT = "Bonjour {Prénom|cher client}, votre fête commence à 9 h. « Soyez là ! »"


@frozen(kw_only=True)
class StagedDesk:
    """A desk, and the path of each of its views."""

    process: DeskProcess
    paths: Mapping[str, str]


#: The names of its views.
VIEWS = (
    *("home", "draft", "draft-error", "plan", "running", "paused", "unknown", "done", "report"),
    *("queued", "optouts", "sends", "missing", "used-link"),
)
#: Those that a browser's console calls failures.
REFUSED = ("missing", "used-link")


def keep_queued(server: SandboxServer, ledger: Path) -> str:
    """Keep a campaign that waits for its go, as of a desk that died before it began it; return its path."""

    async def keep() -> str:
        async with (
            await SqliteLedger.open(ledger) as opened,
            connect(server, ledger=opened, trust_env=False) as sms,
            CampaignRunner(sms, opened) as runner,
        ):
            campaign, _plan = await runner.submit(BytesIO("\n".join(MANY).encode()), "Bonne fête !")
            return f"/campaigns/{campaign.id}"

    # This thread has the event loop of the browser.
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(anyio.run, keep).result()


def stage(process: DeskProcess, chromium: Browser, folder: Path, queued: str) -> StagedDesk:
    """Do everything on a desk that leaves something to be seen; `queued` is the path of what waits for a go."""
    context = chromium.new_context(locale="en-GB")
    tab = DeskTab(page=context.new_page(), desk=process)
    tab.enter()
    paths = {"home": "/", "optouts": "/optouts", "sends": "/sends", "missing": "/nowhere", "queued": queued}
    paths["used-link"] = "/open?token=used"
    # First: what is lost is lost for whoever sends next.
    process.server.faults.script(LOST, path=SENDING)
    tab.send("Bonjour", AMA, KOFI)
    expect(tab.at("unknown-batches")).to_be_visible(timeout=LONG)
    paths["unknown"] = _path(tab)
    tab.send("Bonsoir", AMA, KOFI, AWA, unit_price="12")
    tab.await_state("done")
    paths["done"], paths["report"] = _path(tab), f"{_path(tab)}/report"
    limits = {"unit_price": "12", "budget": "90000", "balance_floor": "500", "min_delivery": "80"}
    for state, text in (("running", "Il reste des places."), ("paused", "Il reste peu de places.")):
        tab.send(text, *MANY, rate="0.01", **limits)
        paths[state] = _path(tab)
    tab.at("pause").click()
    tab.await_state("paused")
    _prepare_drafts(tab, folder, paths)
    _fill_lists(tab, folder)
    context.close()
    return StagedDesk(process=process, paths=paths)


def _prepare_drafts(tab: DeskTab, folder: Path, paths: dict[str, str]) -> None:
    contacts = folder / "liste-des-clients-de-la-boutique-du-plateau-novembre.csv"
    write_contacts(contacts, 500)
    for view in ("draft", "plan"):
        tab.see("/")
        tab.drop(contacts)
        paths[view] = _path(tab)
        tab.write(_TEXT, unit_price="12", budget="50 000", sender_id="ACME")
        tab.page.locator("#draft > .actions button[value=save]").click()
        expect(tab.at("bubble").first).to_be_visible()
    tab.plan()
    paths["plan"] = _path(tab)
    tab.page.locator("#number").fill("07 00 00 01 31")
    tab.page.locator("form[action$='/test'] button").click()
    expect(tab.at("trial")).to_be_visible()
    tab.see("/")
    (folder / "sans-colonne.csv").write_text("a;b\n1;2\n", "utf-8")
    tab.at("file").set_input_files(folder / "sans-colonne.csv")
    expect(tab.at("draft-error")).to_be_visible()
    paths["draft-error"] = _path(tab)


def _fill_lists(tab: DeskTab, folder: Path) -> None:
    """Put numbers on the opt-out list, and send one by one."""
    tab.see("/optouts")
    (folder / "stop.csv").write_text("Téléphone\n07 00 00 02 01\n07 00 00 02 02\nzéro\n", "utf-8")
    tab.at("file").set_input_files(folder / "stop.csv")
    expect(tab.at("optouts")).to_be_visible()
    for number, key in (
        (AMA, "commande-2026-11-000017"),
        (SILENT, "facture-2026-11-de-la-boutique-du-plateau"),
    ):
        tab.desk.call("send", number, "--message", "Votre commande est là.", "--idempotency-key", key)


def _path(tab: DeskTab) -> str:
    return urlsplit(tab.page.url).path
