"""The page: what it says, in which language, what a browser may do with it, and who may have it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from importlib.resources import files

import httpx
import pytest

from tests.sandbox.inbox import OTHER, PHONE, SCRIPT, send, send_otp
from vavasms.i18n import language_set, set_language
from vavasms.sandbox import FaultKind, Gateway, Inbound, Moment, SandboxServer
from vavasms.sandbox.inbox.words import FAULTS, MOMENTS, make_script_words
from vavasms.web.accept_language import choose_language

STATIC = sorted(one.name for one in files("vavasms.sandbox.inbox").joinpath("static").iterdir())


class Reader(HTMLParser):
    """Collect tags with their attributes, and text, as a browser would understand them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data
        self.texts.append(data)

    def tested(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if attributes.get("data-testid") == name]


@pytest.fixture
def browser(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, trust_env=False, timeout=5) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", f"/?to={PHONE}", *(f"/sandbox/inbox/static/{name}" for name in STATIC)]
)
def test_every_page_and_file_may_do_only_what_is_its_own(browser: httpx.Client, path: str) -> None:
    reply = browser.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-security-policy"].startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "same-origin"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/sandbox/messages", "/sandbox/inbox/conversations", "/sandbox/none", "/none"]
)
def test_data_and_refusals_carry_the_headers_too(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).headers["x-content-type-options"] == "nosniff"
    refused = browser.get(path, headers={"Host": "example.com"})
    assert (refused.status_code, refused.headers["x-content-type-options"]) == (403, "nosniff")


def test_what_stands_in_for_the_gateway_carries_none_of_them(client: httpx.Client) -> None:
    assert "content-security-policy" not in client.post("/v1/check/balance").headers


def test_nothing_in_the_page_needs_another_host_or_runs_in_line(
    browser: httpx.Client, gateway: Gateway
) -> None:
    send(gateway)
    reader = Reader(browser.get("/", params={"to": PHONE}).text)
    for tag, attributes in reader.tags:
        assert tag != "style"
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert all((attributes.get(name) or "/").startswith(("/", "#")) for name in ("src", "href", "action"))
        assert tag != "script" or attributes.get("src")
    for name in STATIC:
        text = browser.get(f"/sandbox/inbox/static/{name}").text
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
        assert "innerHTML" not in text


def test_a_script_in_an_sms_is_text_in_the_page_and_in_the_data(
    browser: httpx.Client, gateway: Gateway
) -> None:
    send(gateway, message=SCRIPT)
    html = browser.get("/", params={"to": PHONE}).text
    assert "<script>alert" not in html
    reader = Reader(html)
    assert [attributes for tag, attributes in reader.tags if tag == "script"] == [
        {"type": "module", "src": "/sandbox/inbox/static/inbox.js"}
    ]
    assert reader.said.count(SCRIPT) == 2  # in the list and in the thread
    reply = browser.get(f"/sandbox/inbox/conversations/{PHONE}")
    assert reply.headers["content-type"] == "application/json"
    (message,) = reply.json()["items"]
    assert message["text"] == "".join(text for text, _ in message["parts"]) == SCRIPT


def test_the_page_holds_the_newest_and_everything_one_can_do(browser: httpx.Client, gateway: Gateway) -> None:
    send(gateway, OTHER, "Prix: 15€")
    send_otp(gateway)
    reader = Reader(browser.get("/", params={"to": PHONE}).text)
    assert [one["data-phone"] for one in reader.tested("conversation")][:2] == [PHONE, OTHER]
    for name in [
        "inbox-search",
        "conversation-list",
        "thread",
        "message-text",
        "message-status",
        "message-price",
        "message-segments",
        "otp-code",
        "otp-copy",
        "reply-result",
        "chaos-panel",
        "chaos-kind",
        "chaos-when",
        "chaos-set",
        "chaos-clear",
        "chaos-pending",
        "balance",
        "balance-refill",
        "clear",
        "language-fr",
        "language-en",
    ]:
        assert reader.tested(name), name
    assert str(gateway.latest_otp(PHONE)) in reader.said
    assert reader.tested("balance")[0]["data-amount"] == "99980"
    assert "built-in" not in reader.said  # a word named as a method of dict


def test_what_makes_a_text_dear_is_marked(browser: httpx.Client, gateway: Gateway) -> None:
    send(gateway, message="Prêt")
    send(gateway, message="15€")
    html = browser.get("/", params={"to": PHONE, "lang": "en"}).text
    assert re.search(r'Pr<mark class="ucs2" title="[^"]+">ê</mark>t</p>', html)
    assert re.search(r'15<mark class="double" title="[^"]+">€</mark></p>', html)
    assert "Unicode because of ê" in html
    assert "1 segment · Unicode" in html
    assert "10 XOF" in html


def test_without_an_inbound_url_the_page_says_how_to_set_one(browser: httpx.Client) -> None:
    html = browser.get("/", params={"to": PHONE}).text
    assert "--inbound-url http://127.0.0.1:8426/" in html
    assert Reader(html).tested("reply-text") == []


def test_the_secret_path_of_the_inbound_url_is_not_shown(gateway: Gateway) -> None:
    async def post(_url: str, _fields: object) -> int:
        return 200

    inbound = Inbound(url="http://127.0.0.1:8426/s3cret", post=post)
    assert "s3cret" not in repr(inbound)
    with SandboxServer(gateway, inbound=inbound) as server:
        html = httpx.get(server.origin, params={"to": PHONE}, trust_env=False).text
    assert "s3cret" not in html
    assert "http://127.0.0.1:8426/…" in html
    assert Reader(html).tested("reply-send")


# --- languages


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("fr-CI,fr;q=0.9,en;q=0.8", "fr"),
        ("en-US,en;q=0.9,fr;q=0.8", "en"),
        ("de,fr;q=0.5,en;q=0.4", "fr"),
        ("de", "en"),
        ("fr;q=nonsense", "en"),
        ("fr;q=0", "en"),
        ("", "en"),
    ],
)
def test_the_page_speaks_the_language_of_the_browser(
    browser: httpx.Client, accepted: str, language: str
) -> None:
    reply = browser.get("/", headers={"Accept-Language": accepted})
    assert reply.headers["content-language"] == language
    assert f'<html lang="{language}"' in reply.text


def test_a_chosen_language_is_kept(browser: httpx.Client) -> None:
    french = {"Accept-Language": "fr"}
    assert "Répondre" not in browser.get("/", params={"lang": "en", "to": PHONE}, headers=french).text
    assert browser.get("/", headers=french).headers["content-language"] == "en"
    assert browser.get("/", params={"lang": "fr"}).headers["content-language"] == "fr"
    assert browser.get("/").headers["content-language"] == "fr"
    assert browser.get("/", params={"lang": "de"}).headers["content-language"] == "fr"


def test_every_fault_and_moment_has_its_words() -> None:
    assert set(FAULTS) == set(FaultKind)
    assert set(MOMENTS) == set(Moment)
    assert not {word for word in make_script_words() if hasattr({}, word)}
    assert choose_language("xx", "fr") == "fr"


#: What both languages say alike, and what is none of ours to say.
_ALIKE = re.compile(
    r"· vavasms|vavasms|FR|EN|Messages|Conversations|Code|1 segment · (Unicode|GSM-7)"
    r"|sandbox|sandbox@example\.com|SANDBOX|ACME|VAVASMS_\w+=|http:.*|vavasms sandbox --inbound-url .*"
    r"|(LOT|OTP)-.*|Votre code OTP est : \d+|[\d,]+ XOF"
)


def test_no_word_of_english_is_left_in_the_french_page(browser: httpx.Client, gateway: Gateway) -> None:
    send(gateway, message="ê")
    send_otp(gateway)
    said = {}
    for language in ("en", "fr"):
        # The patterns at its end are filled by the script.
        html = browser.get("/", params={"to": PHONE, "lang": language}).text.partition("<template")[0]
        reader = Reader(html)
        names = {"aria-label", "title", "placeholder"}
        named = [value or "" for _, found in reader.tags for name, value in found.items() if name in names]
        texts = {line.strip() for text in [*reader.texts, *named] for line in text.splitlines()}
        said[language] = {text for text in texts if re.search("[A-Za-z]{2}", text)}
    # The buttons that choose a language name it in its own.
    alike = (said["en"] & said["fr"]) - {"English", "Français"}
    assert [text for text in alike if not _ALIKE.fullmatch(text)] == []


def test_the_script_of_the_french_page_speaks_no_english() -> None:
    with language_set("fr"):
        french = _flatten(make_script_words())
    english = _flatten(make_script_words())
    alike = {text for name, text in english.items() if french[name] == text}
    assert alike <= {
        "Messages", "GSM-7", "Unicode", "{count} message", "{count} messages", "{count} segment", "{count} segments",
    }  # fmt: skip


def _flatten(value: object, name: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {name: str(value)}
    return {
        key: text for inner, one in value.items() for key, text in _flatten(one, f"{name}.{inner}").items()
    }


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("1,200 messages · 1,200 numbers", "2026-07-01", "1,000,000.50 XOF")),
        ("fr", ("1\u00a0200 messages · 1\u00a0200 numéros", "01/07/2026", "1\u00a0000\u00a0000,50 XOF")),
    ],
)
def test_numbers_and_dates_are_written_as_the_language_does(language: str, words: tuple[str, ...]) -> None:
    gateway = Gateway(balance=10**7, clock=lambda: 1_782_907_200.0)
    send(gateway, ",".join(f"22507{number:08}" for number in range(1, 1201)))
    gateway.set_balance(Decimal("1000000.5"))
    with SandboxServer(gateway) as server:
        html = httpx.get(server.origin, params={"lang": language}, trust_env=False).text
    for word in words:
        assert word in html


@pytest.mark.parametrize(
    ("language", "count"), [("en", "0 messages · 0 numbers"), ("fr", "0 message · 0 numéro")]
)
def test_none_is_many_in_english_and_one_in_french(browser: httpx.Client, language: str, count: str) -> None:
    assert count in browser.get("/", params={"lang": language}).text


def test_what_programs_read_is_english_whatever_the_program_speaks(browser: httpx.Client) -> None:
    body = {"when": "rate", "kind": "reset", "rate": 2}
    set_language("fr")
    try:
        refused = browser.post("/sandbox/faults", json=body, headers={"Accept-Language": "fr"})
    finally:
        set_language(None)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "rates are probabilities: none below 0, together 1 at most", "code": "sandbox.rates"},
    )


def test_the_script_finds_every_word_it_uses(browser: httpx.Client) -> None:
    words = json.loads(str(Reader(browser.get("/").text).tags[0][1]["data-words"]))
    used = {
        word
        for name in STATIC
        for word in re.findall(r"\bwords\.(\w+)", browser.get(f"/sandbox/inbox/static/{name}").text)
    }
    assert used <= set(words)


# --- who may have it


@pytest.mark.parametrize(
    "path", ["/", "/sandbox/inbox/events", "/sandbox/inbox/static/inbox.js", "/sandbox/messages"]
)
def test_no_other_host_and_no_page_of_another_site_sees_anything(browser: httpx.Client, path: str) -> None:
    assert browser.get(path, headers={"Host": "example.com"}).status_code == 403
    assert browser.get(path, headers={"Origin": "http://example.com"}).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "inbox/reply"), ("POST", "faults"), ("DELETE", "journal")]
)
def test_what_the_page_changes_no_form_can_change(browser: httpx.Client, method: str, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.request(method, f"/sandbox/{path}", content="a=b", headers=form).status_code == 415


def test_nothing_outside_the_static_folder_is_served(browser: httpx.Client) -> None:
    for path in ("../page.py", "%2e%2e/page.py", "..%2fpage.py"):
        assert browser.get(f"/sandbox/inbox/static/{path}").status_code == 404


@pytest.mark.parametrize("to", ["x", "<b>", "1", "9" * 16, "+"])
def test_what_is_no_number_opens_no_thread(browser: httpx.Client, to: str) -> None:
    reader = Reader(browser.get("/", params={"to": to}).text)
    assert reader.tested("thread")[0]["data-phone"] == ""
