"""The opt-out page: a press and nothing else opts out, and nobody learns a number or a code from it."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.to_thread import run_sync

from tests.inbound.posting import Answer, post
from tests.uvicorn_server import access_log_kept, serving
from vavasms import OptOutApp
from vavasms.errors import ConfigurationError, LedgerError
from vavasms.i18n import gettext
from vavasms.inbound.optout import guesses
from vavasms.inbound.optout.guesses import BURST, BURST_UNDER_ATTACK, REFILL, TOTAL_BURST, GuessLimiter
from vavasms.inbound.optout.responder import OptOutResponder, PageRequest
from vavasms.ledger.base import Ledger
from vavasms.ledger.optout_codes import draw_code
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

PERSON = Msisdn("2250700000101")
STOP, START = b"choice=stop", b"choice=start"
ENGLISH = (b"accept-language", b"en-GB,en;q=0.9")


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with MemoryLedger() as ledger:
        yield ledger


@pytest.fixture
async def code(ledger: Ledger) -> str:
    """Return the code of a person."""
    return (await ledger.optout_codes.issue([PERSON]))[PERSON]


@pytest.fixture
def app(ledger: Ledger) -> OptOutApp:
    return OptOutApp(ledger, name="Boutique Awa")


async def ask(app: OptOutApp, code: str, method: str = "GET", body: bytes = b"", **options: Any) -> Answer:
    return await post(app, body, path=f"/{code}", method=method, **{"headers": [ENGLISH], **options})


async def is_out(ledger: Ledger) -> bool:
    return await ledger.opted_out() == {int(PERSON)}


async def test_a_press_opts_out_and_a_second_takes_it_back(app: OptOutApp, ledger: Ledger, code: str) -> None:
    asked = await ask(app, code)
    assert (asked.status, "No more of these SMS?" in asked.text) == (200, True)
    assert 'value="stop"' in asked.text
    assert not await is_out(ledger)
    pressed = await ask(app, code, "POST", STOP)
    assert (pressed.status, 'value="start"' in pressed.text) == (200, True)
    assert "You get no more of these SMS" in pressed.text
    assert await is_out(ledger)
    # What is opened again says where it stands.
    assert (await ask(app, code)).text == pressed.text
    back = await ask(app, code, "POST", START)
    assert "You get the SMS again" in back.text
    assert not await is_out(ledger)
    assert (await ask(app, code)).text == asked.text


@pytest.mark.parametrize("body", [STOP, START])
async def test_a_press_may_be_repeated(app: OptOutApp, ledger: Ledger, code: str, body: bytes) -> None:
    await ask(app, code, "POST", STOP)
    answers = [(await ask(app, code, "POST", body)).text for _ in range(3)]
    assert len(set(answers)) == 1
    assert await is_out(ledger) is (body == STOP)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("headers", [(), ((b"sec-purpose", b"prefetch"),), ((b"purpose", b"preview"),)])
async def test_nothing_but_a_post_changes_anything(
    app: OptOutApp, ledger: Ledger, code: str, method: str, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    answer = await ask(app, code, method, STOP, headers=list(headers))
    assert answer.status == (200 if method in ("GET", "HEAD") else 405)
    assert (answer.text == "") is (method == "HEAD")
    assert not await is_out(ledger)


@pytest.mark.parametrize("body", [b"", b"choice=", b"choice=both", b"\xff\xfe", STOP + b"&a=" + b"x" * 1100])
async def test_a_form_that_is_none_of_the_pages_changes_nothing(
    app: OptOutApp, ledger: Ledger, code: str, body: bytes
) -> None:
    assert (await ask(app, code, "POST", body)).status == 400
    assert not await is_out(ledger)


async def test_a_body_that_is_too_long_is_not_read_to_its_end(
    app: OptOutApp, ledger: Ledger, code: str
) -> None:
    answer = await ask(app, code, "POST", STOP, headers=[(b"content-length", b"9000000")])
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert not await is_out(ledger)


async def test_what_came_in_another_way_is_shown_and_not_taken_back(
    app: OptOutApp, ledger: Ledger, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vavasms")
    await ledger.add_opt_outs([PERSON], source="inbound", now=1.0)
    for answer in (
        await ask(app, code),
        await ask(app, code, "POST", STOP),
        await ask(app, code, "POST", START),
    ):
        assert answer.status == 200
        assert "ask the sender" in answer.text
        assert "<form" not in answer.text
    assert await is_out(ledger)
    assert "took an opt-out back" not in caplog.text


async def test_no_page_shows_the_number_or_the_code(app: OptOutApp, code: str) -> None:
    for method, body in (("GET", b""), ("POST", STOP), ("GET", b""), ("POST", START), ("POST", b"x")):
        answer = await ask(app, code, method, body)
        told = answer.text + repr(answer.headers)
        assert PERSON not in told
        assert PERSON[3:] not in told
        assert code not in told


async def test_every_answer_keeps_the_address_to_itself(app: OptOutApp, code: str) -> None:
    for path, method in ((code, "GET"), (code, "POST"), (draw_code(), "GET"), (code, "PUT"), ("x", "HEAD")):
        answer = await ask(app, path, method)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert len(answer.text.encode()) < 4_000


async def test_a_code_that_is_nobodys_tells_nothing(app: OptOutApp, code: str) -> None:
    unknown = [draw_code(), code.swapcase(), code[:-1], f"{code}x", "favicon.ico", "", "%00", "é" * 10]
    answers = {(await ask(app, path, method)).text for path in unknown for method in ("GET", "POST", "PUT")}
    assert len(answers) == 1
    assert {
        (await ask(app, path, method, STOP)).status for path in unknown for method in ("GET", "POST")
    } == {404}


@pytest.mark.parametrize("end", [".", ",", ").", "…", "!"])
async def test_a_phone_that_takes_the_stop_of_a_sentence_into_the_link_still_gets_there(
    app: OptOutApp, code: str, end: str
) -> None:
    assert (await ask(app, code + end)).status == 200


@pytest.mark.parametrize(
    ("accepted", "query", "language"),
    [
        ("", "", "fr"),
        ("de-DE,de;q=0.9", "", "fr"),
        ("fr-CI,fr;q=0.9,en;q=0.8", "", "fr"),
        ("en-US,en;q=0.9", "", "en"),
        ("en-US,en;q=0.9", "fr", "fr"),
        ("fr", "en", "en"),
        ("fr", "xx", "fr"),
    ],
)
async def test_the_page_is_in_french_unless_english_is_preferred(
    ledger: Ledger, code: str, accepted: str, query: str, language: str
) -> None:
    responder = OptOutResponder(ledger)
    request = PageRequest(method="GET", code=code, language=query, accepted=accepted, peer=None)
    html = (await responder.answer(request)).html
    assert f'<html lang="{language}">' in html
    assert f'href="?lang={"en" if language == "fr" else "fr"}"' in html


async def test_the_name_of_the_sender_is_text(ledger: Ledger, code: str) -> None:
    answer = await ask(OptOutApp(ledger, name="<b>Awa & {fils} $x</b>"), code)
    assert "&lt;b&gt;Awa &amp; {fils} $x&lt;/b&gt;" in answer.text
    assert "from this sender" in (await ask(OptOutApp(ledger), code)).text


@pytest.mark.parametrize("root_path", ["", "/d", "/a/b"])
async def test_the_code_is_the_last_part_of_the_path_wherever_the_app_is(
    app: OptOutApp, code: str, root_path: str
) -> None:
    assert (await ask(app, code, root_path=root_path)).status == 200
    assert (await ask(app, f"d/{code}")).status == 200


@pytest.mark.parametrize("end", ["/", "//", "/x", "./", "/index.html"])
async def test_what_stands_behind_the_code_keeps_it_in_no_log(app: OptOutApp, code: str, end: str) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": f"/d/{code}{end}",
        "raw_path": f"/d/{code}{end}".encode(),
        "headers": [],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    assert sent[0]["status"] == (404 if end.strip("./") else 200)
    assert code not in scope["path"]
    assert code.encode() not in scope["raw_path"]


async def test_a_length_that_is_no_length_is_no_error_of_ours(app: OptOutApp, code: str) -> None:
    headers = [ENGLISH, (b"content-length", b"9" * 5_000)]
    assert (await ask(app, code, "POST", STOP, headers=headers)).status == 400


class Numbers:
    """A list of somebody's own."""

    def __init__(self) -> None:
        self.kept: list[Msisdn] = []
        self.fails = False

    async def add_opt_outs(self, recipients: Iterable[Msisdn], *, source: str, now: float) -> int:
        if self.fails:
            raise RuntimeError(f"{PERSON} is not taken")
        assert source == "link"
        self.kept += recipients
        return 1

    async def remove_opt_outs(self, recipients: Iterable[Msisdn]) -> int:
        if self.fails:
            raise RuntimeError(f"{PERSON} is not taken")
        self.kept = [number for number in self.kept if number not in recipients]
        return 1


async def test_another_list_is_fed_beside_the_ledgers(
    ledger: Ledger, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = Numbers()
    app = OptOutApp(ledger, opt_outs=own)
    await ask(app, code, "POST", STOP)
    assert own.kept == [PERSON]
    own.fails = True
    answer = await ask(app, code, "POST", START)
    assert (answer.status, "It did not work" in answer.text) == (503, True)
    assert answer.headers["retry-after"] == "30"
    # It is taken back whole or not at all.
    assert await is_out(ledger)
    own.fails = False
    await ask(app, code, "POST", START)
    assert own.kept == []
    assert not await is_out(ledger)
    assert PERSON not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_what_another_list_holds_in_its_own_right_stays(ledger: Ledger, code: str) -> None:
    own = Numbers()
    own.kept = [PERSON]
    app = OptOutApp(ledger, opt_outs=own)
    await ask(app, code, "POST", START)
    assert own.kept == [PERSON]


class BrokenLedger(MemoryLedger):
    """A ledger that is not at hand."""

    @property
    def optout_codes(self) -> Any:
        raise LedgerError(gettext("The database is not at hand."))


async def test_a_ledger_that_is_not_at_hand_is_our_fault(code: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask(OptOutApp(BrokenLedger()), code)
    assert answer.status == 503
    assert "not at hand" in caplog.text


async def test_a_ledger_is_opened_by_its_place_at_the_first_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with await SqliteLedger.open(path) as ledger:
        code = (await ledger.optout_codes.issue([PERSON]))[PERSON]
    app = OptOutApp(path)
    assert (await ask(app, code, "POST", STOP)).status == 200
    await app.aclose()
    await app.aclose()
    async with await SqliteLedger.open(path) as ledger:
        assert await is_out(ledger)
    # Asked again it is opened again.
    assert (await ask(app, code)).status == 200
    await app.aclose()


async def test_what_is_no_ledger_is_refused_when_the_app_is_made() -> None:
    with pytest.raises(ConfigurationError, match="ledger"):
        OptOutApp(7)  # type: ignore[arg-type]


async def _lifespan(app: OptOutApp) -> list[str]:
    events, sent = ["lifespan.startup", "lifespan.shutdown"], []

    async def receive() -> Any:
        return {"type": events.pop(0)}

    async def send(event: Any) -> None:
        sent.append(event["type"] + event.get("message", ""))

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_what_is_wrong_with_the_ledger_shows_at_the_start(tmp_path: Path) -> None:
    good = await _lifespan(OptOutApp(tmp_path / "ledger.db"))
    assert good == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    (tmp_path / "other.db").write_text("x" * 5000)
    (failed,) = await _lifespan(OptOutApp(tmp_path / "other.db"))
    assert failed.startswith("lifespan.startup.failedThe file ")


async def test_a_websocket_is_turned_away(app: OptOutApp, code: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "websocket", "path": f"/{code}", "raw_path": b"x", "headers": []}
    await app(scope, receive, send)
    assert [event["type"] for event in sent] == ["websocket.close"]
    assert code not in repr(scope)


async def test_whoever_guesses_is_answered_429_and_nobody_else_is(
    app: OptOutApp, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = [(await ask(app, draw_code())).status for _ in range(BURST + 3)]
    assert statuses == [404] * BURST + [429] * 3
    # From there the right one is not answered either, or a guess would tell.
    refused = await ask(app, code, "POST", STOP)
    assert refused.status == 429
    assert 1 <= int(refused.headers["retry-after"]) <= REFILL + 1
    assert (await ask(app, code, client=("192.0.2.8", 1))).status == 200
    assert caplog.text.count("answered 429") == 1
    assert "192.0.2.7" not in caplog.text


async def test_whoever_follows_their_own_link_counts_for_nothing(app: OptOutApp, code: str) -> None:
    # Thousands behind one address of a carrier, and their browsers ask for icons.
    for path in (code, "favicon.ico", "apple-touch-icon.png", f"{code}x", ""):
        for _ in range(BURST):
            assert (await ask(app, path)).status in (200, 404)
    assert (await ask(app, code)).status == 200


async def test_the_address_behind_a_proxy_that_is_named_counts(ledger: Ledger, code: str) -> None:
    app = OptOutApp(ledger, trusted_proxies=["10.0.0.1"])

    def through(address: bytes) -> dict[str, Any]:
        return {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"198.51.100.9, " + address)]}

    for _ in range(BURST + 1):
        await ask(app, draw_code(), **through(b"192.0.2.7"))
    assert (await ask(app, code, **through(b"192.0.2.7"))).status == 429
    assert (await ask(app, code, **through(b"192.0.2.8"))).status == 200


@pytest.mark.parametrize(("client", "status"), [(("127.0.0.1", 1), 200), (("1.2.3.4", 1), 429), (None, 200)])
async def test_a_proxy_that_is_not_named_locks_nobody_out(
    app: OptOutApp, code: str, client: tuple[str, int] | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    # On this network it is a proxy; from the world anybody may send such a header.
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    for _ in range(BURST + 1):
        await ask(app, draw_code(), client=client, headers=headers)
    assert (await ask(app, code, client=client, headers=headers)).status == status
    is_warned = client is not None and client[0] == "127.0.0.1"
    assert caplog.text.count("trusted_proxies does not name") == is_warned


async def test_a_whole_ipv6_network_is_one(app: OptOutApp, code: str) -> None:
    for place in range(BURST + 1):
        await ask(app, draw_code(), client=(f"2001:db8::{place:x}", 1))
    assert (await ask(app, code, client=("2001:db8::ffff", 1))).status == 429
    assert (await ask(app, code, client=("2001:db8:0:1::1", 1))).status == 200


def test_a_limit_is_forgotten_with_time() -> None:
    limiter = GuessLimiter()
    assert [limiter.add_miss("a", 100.0) for _ in range(BURST)] == [False] * (BURST - 1) + [True]
    assert limiter.wait("a", 100.0) == pytest.approx(REFILL)
    assert limiter.wait("a", 100.0 + REFILL) == 0
    assert limiter.wait("b", 100.0) == 0


def test_wrong_codes_from_everywhere_leave_each_address_fewer_and_nobody_out() -> None:
    limiter = GuessLimiter()
    for place in range(TOTAL_BURST):
        limiter.add_miss(f"{place}", 100.0)
    assert limiter.wait("none of these", 100.0) == limiter.wait("7", 100.0) == 0
    misses = [limiter.add_miss("a", 100.0) for _ in range(BURST_UNDER_ATTACK)]
    assert misses == [False] * (BURST_UNDER_ATTACK - 1) + [True]
    # It is over once they stop.
    assert limiter.wait("a", 500.0) == 0


def test_no_more_addresses_are_kept_than_memory_is_set_aside_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MOST_ADDRESSES", 3)
    limiter = GuessLimiter()
    for _ in range(BURST):
        for origin in ("a", "b", "c"):
            limiter.add_miss(origin, 1.0)
    limiter.add_miss("d", 1.0)
    assert [limiter.wait(origin, 1.0) > 0 for origin in "abcd"] == [False, True, True, False]


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    """Yield a ledger that others open by its path: one belongs to one event loop."""
    async with await SqliteLedger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


async def test_a_scanner_that_follows_every_link_of_every_sms_opts_nobody_out(file: SqliteLedger) -> None:
    people = [Msisdn(2250700000000 + place) for place in range(8)]
    codes = await file.optout_codes.issue(people)

    def follow(url: str) -> None:
        texts = [f"Promo ! Stop : {url}/d/{code}" for code in codes.values()]
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            for text in texts:
                for link in re.findall(r"https?://\S+", text):
                    assert client.get(link).status_code == 200
                    assert client.head(link).status_code == 200
                    assert client.get(link, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 200
                    # Whatever the page leads to, too.
                    for found in re.findall(r'(?:href|src)="([^"]+)"', client.get(link).text):
                        if not found.startswith("data:"):
                            client.get(httpx.URL(link).join(found))

    with serving(OptOutApp(file.path)) as url:
        await run_sync(follow, url)
    assert await file.opted_out() == frozenset()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_log_has_a_number_or_a_code(file: SqliteLedger, caplog: pytest.LogCaptureFixture) -> None:
    code = (await file.optout_codes.issue([PERSON]))[PERSON]
    caplog.set_level(logging.DEBUG)

    other = "2" if code.endswith("1") else "1"

    def press(url: str) -> None:
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{url}/d/{code}?lang=en").status_code == 200
            assert client.post(f"{url}/d/{code}", data={"choice": "stop"}).status_code == 200
            assert client.post(f"{url}/d/{code}", data={"choice": "start"}).status_code == 200
            assert client.get(f"{url}/d/{code[:-1]}{other}").status_code == 404

    with access_log_kept() as log, serving(OptOutApp(file.path)) as url:
        await run_sync(press, url)
    logged = log.getvalue()
    assert logged.count("/d/hidden") == 4
    # The client of this test logs what it asks for.
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert "Somebody opted out by a link." in ours
    assert "Somebody took an opt-out back by a link." in ours
    for text in (logged, ours):
        assert code[:-1] not in text
        assert PERSON not in text


async def test_whoever_leaves_before_the_form_is_whole_changes_nothing(
    app: OptOutApp, ledger: Ledger, code: str
) -> None:
    parts = [{"type": "http.request", "body": STOP, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(event: Any) -> None:
        raise AssertionError(event)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": f"/{code}", "headers": []}
    await app(scope, receive, send)
    # Nor is there anything to do for what is no connection of ours.
    await app({"type": "something.new"}, receive, send)
    assert not await is_out(ledger)
