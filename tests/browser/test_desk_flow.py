"""A campaign from the drop of its list to its report, in a browser, before a desk that runs by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.campaign_desk import LONG, LOST, SENDING, DeskProcess, DeskTab
from tests.browser.desk import Watch
from vavasms.cli.commands.demo.contacts import write_contacts
from vavasms.cli.exit_codes import UNKNOWN
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.slow

OWN, AMA, KOFI, AWA = "+2250700000131", "+2250700000121", "+2250700000122", "+2250700000123"
#: Its answer is lost, by a number that the sandbox knows.
SILENT = "+2250700000444"
GROUP = [f"+22507571000{index:02d}" for index in range(20)]


def most_to_one(server: SandboxServer) -> int:
    """Return how many messages the person has who has the most."""
    return max(server.gateway.journal.counts().values(), default=0)


def digits(phone: str) -> str:
    return phone.removeprefix("+")


def test_a_damaged_list_goes_from_drop_to_report(tab: DeskTab, tmp_path: Path) -> None:
    contacts, server = tmp_path / "contacts.csv", tab.desk.server
    write_contacts(contacts, 10_000)
    tab.drop(contacts)
    tab.write("Bonjour {Prénom|cher client}, la réunion est samedi à 9 h.", unit_price="12", rate="2500")
    tab.plan()
    recipients = tab.recipients()
    assert 7_000 < recipients < 10_000
    expect(tab.at("plan-cost")).to_contain_text("XOF")
    tab.page.locator("#number").fill(OWN)
    tab.page.locator("form[action$='/test'] button").click()
    expect(tab.at("trial")).to_contain_text(f"The test to {OWN}: accepted.")
    assert server.gateway.journal.recipients == 1
    tab.go(recipients - 1)
    expect(tab.at("note")).to_contain_text("Nothing was sent.")
    assert server.gateway.journal.recipients == 1
    tab.begin()
    tab.at("pause").click()
    expect(tab.at("go-on")).to_be_visible()
    assert 0 < tab.outcomes()["left"] <= recipients
    # At once: what was under way may be so still.
    tab.at("go-on").click()
    tab.await_state("done")
    done = tab.outcomes()
    assert sum(done.values()) == recipients
    # One number is refused, with it its whole request: whether some of it were sent, the answer does not tell.
    assert (done["rejected"], done["not-sent"], done["left"]) == (0, 0, 0)
    assert 0 < done["unknown"] <= 100
    assert most_to_one(server) == 1
    assert len(server.gateway.journal.counts()) == done["accepted"] + 1
    reported = tab.reported()
    assert reported["recipients"] == recipients
    assert [reported[name] for name in ("accepted", "unknown")] == [done["accepted"], done["unknown"]]


def test_two_tabs_that_both_give_the_go_make_one_campaign(tab: DeskTab) -> None:
    tab.type_numbers(*GROUP)
    tab.write("Bonjour")
    tab.plan()
    other = tab.beside()
    for one in (tab, other):
        one.page.locator("#count").fill(str(len(GROUP)))
    tab.page.reload()
    expect(tab.at("go")).to_be_visible()
    tab.page.locator("#count").fill(str(len(GROUP)))
    # Neither waits for the other: both requests are under way before either is answered.
    for one in (tab, other):
        one.at("go").click(no_wait_after=True)
    for one in (tab, other):
        one.page.wait_for_url(re.compile("/campaigns/"), timeout=LONG)
        one.await_state("done")
    assert tab.page.url == other.page.url
    assert most_to_one(tab.desk.server) == 1
    tab.page.reload()
    assert tab.outcomes()["accepted"] == len(GROUP)
    tab.see("/")
    expect(tab.at("campaigns").locator("tbody tr")).to_have_count(1)


def test_a_reload_in_the_middle_shows_how_far_it_is_and_sends_nothing_twice(tab: DeskTab) -> None:
    tab.send("Bonjour", *GROUP, rate="10")
    for _ in range(3):
        tab.page.reload()
        expect(tab.page.locator("[data-testid=state]")).to_be_visible()
    other = tab.beside()
    other.await_state("done")
    tab.await_state("done")
    assert tab.outcomes() == other.outcomes()
    assert most_to_one(tab.desk.server) == 1


def lose_one(tab: DeskTab) -> None:
    """Begin a campaign whose only answer is lost, and wait until its page asks for a decision."""
    tab.desk.server.faults.script(LOST, path=SENDING)
    tab.send("Bonjour", AMA, KOFI, AWA)
    expect(tab.at("unknown-batches")).to_be_visible(timeout=LONG)
    assert tab.outcomes()["unknown"] == 3


def test_an_unknown_batch_is_taken_for_sent(tab: DeskTab) -> None:
    lose_one(tab)
    tab.at("mark-sent").click()
    expect(tab.at("note")).to_contain_text("Marked as sent")
    tab.await_state("done")
    assert tab.outcomes()["accepted"] == 3
    assert most_to_one(tab.desk.server) == 1
    expect(tab.at("unknown-batches")).to_have_count(0)


def test_an_unknown_batch_is_sent_again_only_when_the_box_is_ticked(tab: DeskTab) -> None:
    lose_one(tab)
    tab.at("send-again").click()
    expect(tab.at("note")).to_contain_text("Tick the box first")
    assert most_to_one(tab.desk.server) == 1
    tab.page.locator("#sure").check()
    tab.at("send-again").click()
    expect(tab.at("note")).to_contain_text("Queued again")
    tab.at("go-on").click()
    tab.await_state("done")
    assert tab.outcomes()["accepted"] == 3
    assert dict(tab.desk.server.gateway.journal.counts()) == {digits(one): 2 for one in (AMA, KOFI, AWA)}


@pytest.mark.parametrize(("decision", "state"), [("sent", "accepted"), ("again", "cancelled")])
def test_a_single_send_that_is_unknown_is_decided(tab: DeskTab, decision: str, state: str) -> None:
    assert tab.desk.call("send", SILENT, "--message", "Bonjour", "--idempotency-key", "order-1") == UNKNOWN
    tab.see("/sends")
    form = tab.page.locator("form.decision")
    expect(form).to_contain_text("order-1")
    if decision == "again":
        form.get_by_role("button", name="It was not").click()
        expect(tab.at("note")).to_contain_text("Tick the box first")
        form.get_by_role("checkbox").check()
    form.locator(f"button[value={decision}]").click()
    expect(tab.page.locator(f".state.{state}")).to_have_count(1)
    expect(form).to_have_count(0)
    # Neither sends anything: the text is its program's, which has the key.
    assert tab.desk.server.gateway.journal.accepted_count(SILENT) == 1


def open_draft(tab: DeskTab, folder: Path, *rows: str) -> None:
    """Drop a list of a first name and a number."""
    path = folder / "list.csv"
    path.write_text("\n".join(["Prénom;Téléphone", *rows]), "utf-8")
    tab.drop(path)


def test_one_click_spells_a_text_cheaper(tab: DeskTab, tmp_path: Path) -> None:
    open_draft(tab, tmp_path, f"Awa;{AMA}")
    tab.write("Votre fête commence bientôt : " + "venez nombreux. " * 4)
    button = tab.page.locator("#preview button[value=fold]")
    expect(button).to_contain_text("% less")
    expect(tab.page.locator("#preview .bubble mark").first).to_have_text("ê")
    button.click()
    expect(tab.page.locator("#fold")).to_be_checked()
    expect(tab.at("bubble").first).to_contain_text("Votre fete commence bientot")
    expect(button).to_have_count(0)
    # What was typed is as it was.
    expect(tab.page.locator("#message")).to_have_value(re.compile("fête"))


def test_a_chip_puts_its_column_where_the_cursor_is(tab: DeskTab, tmp_path: Path) -> None:
    open_draft(tab, tmp_path, f"Awa;{AMA}", f"Koffi;{KOFI}")
    message = tab.page.locator("#message")
    message.fill("Bonjour , à demain")
    message.evaluate("one => one.setSelectionRange(8, 8)")
    tab.page.get_by_role("button", name="Prénom").click()
    expect(message).to_have_value("Bonjour {Prénom}, à demain")
    expect(message).to_be_focused()
    assert message.evaluate("one => one.selectionStart") == len("Bonjour {Prénom}")
    expect(tab.at("bubble").first).to_have_text("Bonjour Awa, à demain")
    # The numbers are in no text.
    expect(tab.page.locator("[data-column]")).to_have_count(1)


def test_the_phone_turns_to_the_next_and_back(tab: DeskTab, tmp_path: Path) -> None:
    open_draft(tab, tmp_path, f"Awa;{AMA}", f"Koffi;{KOFI}", f"Aïcha;{AWA}")
    tab.write("Bonjour {Prénom}")
    shown = tab.page.locator("#preview .bubble:visible")
    expect(shown).to_have_text("Bonjour Awa")
    for name in ("Koffi", "Aïcha", "Awa"):
        tab.page.locator("[data-turn='1']").click()
        expect(shown).to_have_text(f"Bonjour {name}")
    tab.page.locator("[data-turn='-1']").click()
    expect(shown).to_have_text("Bonjour Aïcha")
    # It stays turned while the text is typed.
    tab.write("Bonsoir {Prénom}")
    expect(shown).to_have_text("Bonsoir Aïcha")


def change_opt_out(tab: DeskTab, do: str, number: str) -> None:
    tab.page.locator("#number").fill(number)
    tab.page.locator(f"button[value={do}]").click()


def test_opt_outs_are_added_imported_searched_and_removed(tab: DeskTab, tmp_path: Path) -> None:
    tab.see("/optouts")
    change_opt_out(tab, "add", "07 00 00 01 21")
    expect(tab.at("note")).to_contain_text(f"{AMA} is on the list")
    path = tmp_path / "stop.csv"
    path.write_text(f"Téléphone\n{AMA}\n{KOFI}\n", "utf-8")
    tab.at("file").set_input_files(path)
    expect(tab.at("note")).to_contain_text("1 number added to the list; 1 on it already.")
    rows = tab.at("optouts").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("stop.csv")
    change_opt_out(tab, "search", KOFI)
    expect(rows).to_have_count(1)
    expect(tab.page.locator("#number")).to_have_value(KOFI)
    tab.page.locator("button[value=remove]").click()
    expect(tab.at("note")).to_contain_text(f"{KOFI} is not on the list any more.")
    change_opt_out(tab, "search", KOFI)
    expect(tab.at("note")).to_contain_text(f"{KOFI} is not on the list.")
    tab.send("Bonjour", AMA, KOFI)
    tab.await_state("done")
    assert dict(tab.desk.server.gateway.journal.counts()) == {digits(KOFI): 1}


def test_a_list_of_no_use_is_told_and_the_same_file_mended_is_taken(
    tab: DeskTab, tmp_path: Path, watch: Watch
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("", "utf-8")
    tab.at("file").set_input_files(path)
    expect(tab.page.locator(".drop .working")).to_contain_text("The list is empty")
    # A browser tells the console of every refusal.
    assert [text for text in watch.problems if "400 (Bad Request)" not in text] == []
    watch.problems.clear()
    open_draft(tab, tmp_path, f"Awa;{AMA}")
    assert tab.recipients() == 1


def test_a_text_that_was_typed_does_not_go_with_the_page_unasked(tab: DeskTab, watch: Watch) -> None:
    tab.type_numbers(AMA)
    message = tab.page.locator("#message")
    message.press_sequentially("Bonjour")
    with tab.page.expect_event("dialog") as asked:
        tab.page.get_by_role("button", name="Français").click(no_wait_after=True)
    assert asked.value.type == "beforeunload"
    # It was answered with no.
    assert len(watch.problems) == 1
    watch.problems.clear()
    expect(message).to_have_value("Bonjour")
    tab.page.locator("#draft > .actions button[value=save]").click()
    expect(tab.at("bubble")).to_have_text("Bonjour")
    tab.page.get_by_role("button", name="Français").click()
    expect(tab.page.locator("html")).to_have_attribute("lang", "fr")
    expect(message).to_have_value("Bonjour")


def test_a_list_without_a_column_of_numbers_is_called_a_list(tab: DeskTab, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("a;b\nx;y\n", "utf-8")
    tab.at("file").set_input_files(path)
    expect(tab.at("draft-error")).to_contain_text("The list has no column")
    tab.page.locator("#phone_column").fill("z")
    tab.page.locator("details:has(#phone_column) button[value=save]").click()
    expect(tab.at("draft-error")).to_contain_text("The list has no column 'z'")


def test_the_language_button_changes_the_page_and_keeps_to_it(tab: DeskTab) -> None:
    html = tab.page.locator("html")
    expect(html).to_have_attribute("lang", "en")
    tab.page.get_by_role("button", name="Français").click()
    expect(html).to_have_attribute("lang", "fr")
    expect(tab.page.locator("h1")).to_have_text("Campagnes")
    tab.see("/optouts")
    expect(html).to_have_attribute("lang", "fr")
    tab.page.get_by_role("button", name="English").click()
    expect(html).to_have_attribute("lang", "en")
    expect(tab.page.locator("h1")).to_have_text("Opt-outs")


def test_a_spreadsheet_of_two_sheets_asks_for_one(tab: DeskTab, tmp_path: Path) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "clients.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        for sheet, people in (("Abidjan", [AMA]), ("Bouaké", [KOFI, AWA])):
            page = workbook.add_worksheet(sheet)
            for row, cells in enumerate([("Nom", "Téléphone"), *(("Awa", phone) for phone in people)]):
                page.write_row(row, 0, cells)
    tab.drop(path)
    assert tab.recipients() == 1
    tab.write("Bonjour {Nom}")
    tab.page.locator("summary", has_text="How the list is read").click()
    tab.page.locator("#sheet").select_option("Bouaké")
    tab.page.locator("details:has(#sheet) button[value=save]").click()
    expect(tab.at("recipients")).to_have_text("2", timeout=LONG)
    # Reading the list otherwise takes nothing of the text.
    expect(tab.page.locator("#message")).to_have_value("Bonjour {Nom}")
    tab.plan()
    tab.begin()
    tab.await_state("done")
    assert {*tab.desk.server.gateway.journal.counts()} == {digits(KOFI), digits(AWA)}


def test_a_link_opens_one_browser(
    desk_process: DeskProcess, tab: DeskTab, new_tab: Callable[..., DeskTab]
) -> None:
    another = new_tab(desk_process)
    for one in (tab, another):
        one.see("/sends")
        expect(one.page.locator("h1")).to_have_text("Single sends")
