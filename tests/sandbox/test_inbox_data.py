"""Conversations, threads, search and replies: what the page asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.inbox import LOGIN, OTHER, PHONE, send, send_otp
from vavasms.sandbox import Gateway, Inbound, SandboxError, SandboxServer
from vavasms.sandbox.inbox.conversations import Index

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def browser(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.origin}/sandbox/inbox/", trust_env=False, timeout=5) as opened:
        yield opened


def phones(reply: httpx.Response) -> list[str]:
    return [one["phone"] for one in reply.json()["conversations"]]


def texts(reply: httpx.Response) -> list[str]:
    return [one["text"] for one in reply.json()["items"]]


# --- the index

NUMBERS = st.lists(st.integers(0, 5).map(lambda last: f"225070000010{last}"), min_size=1, max_size=12)


@given(sends=st.lists(st.one_of(NUMBERS, st.none()), max_size=12), most=st.integers(1, 7))
@settings(max_examples=60)
def test_the_index_tells_what_a_look_at_everything_tells(sends: list[list[str] | None], most: int) -> None:
    gateway = Gateway()
    index = Index(gateway.journal)
    for phones in sends:
        if phones is None:
            gateway.journal.clear()
        else:
            send(gateway, ",".join(phones))
        index.step(most)  # perhaps in the middle of a lot
    while index.step(most):
        continue
    entries = gateway.journal.entries
    everything = [entry.message_to(i, phone) for entry in entries for i, phone in enumerate(entry.phones)]
    last = {message.phone: message for message in everything}
    newest = sorted(last.values(), key=lambda message: -message.number)
    assert index.conversations() == newest
    for phone in last:
        assert index.thread(phone) == [one for one in reversed(everything) if one.phone == phone]
    assert index.totals == {"messages": len(everything), "conversations": len(last)}


def test_a_lot_of_many_recipients_is_spread_in_slices() -> None:
    gateway = Gateway(balance=10**9)
    many = [f"22507{number:08d}" for number in range(20_000)]
    send(gateway, ",".join([*many, PHONE]))
    index, steps = Index(gateway.journal), 1
    assert index.totals["messages"] == 0
    while index.step():
        steps += 1
        assert index.totals["messages"] <= 4096 * steps
    assert steps == 5
    assert [message.phone for message in index.conversations()][:2] == [PHONE, many[-1]]


def test_what_is_cleared_while_a_lot_is_spread_is_forgotten() -> None:
    gateway = Gateway(balance=10**9)
    index = Index(gateway.journal)
    send(gateway, ",".join([PHONE, OTHER] * 10))
    assert index.step(5)
    listed = index.conversations()
    assert listed
    gateway.journal.clear()
    assert index.conversations() == []  # known, but not to be read any more
    send(gateway, OTHER)
    assert not index.step(5)
    assert [message.phone for message in index.conversations()] == [OTHER]
    assert len(index.thread(OTHER)) == 1


# --- pages


def test_conversations_come_in_pages_newest_first(browser: httpx.Client, gateway: Gateway) -> None:
    many = [f"22507000{number:05d}" for number in range(120)]
    for phone in many:
        send(gateway, phone)
    first = browser.get("conversations")
    second = browser.get("conversations", params={"below": first.json()["below"]})
    third = browser.get("conversations", params={"below": second.json()["below"]})
    assert phones(first) + phones(second) + phones(third) == many[::-1]
    assert [len(phones(one)) for one in (first, second, third)] == [50, 50, 20]
    assert third.json()["below"] is None


def test_a_thread_comes_in_pages_oldest_first(browser: httpx.Client, gateway: Gateway) -> None:
    for number in range(70):
        send(gateway, f"{PHONE},{OTHER}", f"m{number}")
    last = browser.get(f"conversations/{PHONE}")
    before = browser.get(f"conversations/+{PHONE}", params={"below": last.json()["older"]})
    assert texts(before) + texts(last) == [f"m{number}" for number in range(70)]
    assert before.json()["older"] is None
    assert browser.get("conversations/2250700000199").json()["items"] == []
    assert browser.get("conversations/abc").status_code == 400
    assert browser.get("conversations?below=x").status_code == 400


def test_a_message_says_what_it_cost_and_when_its_status_changes(
    browser: httpx.Client, gateway: Gateway
) -> None:
    send(gateway, f"{PHONE},{OTHER}", "Prêt")
    (message,) = browser.get(f"conversations/{PHONE}").json()["items"]
    assert (message["segments"], message["encoding"], message["price"]) == (1, "ucs2", "10")
    assert (message["status"], message["changes_in"], message["costly"]) == ("pending", 2, ["ê"])
    assert message["parts"] == [["Pr", ""], ["ê", "ucs2"], ["t", ""]]
    send(gateway, "2250700000709")
    (unknown,) = browser.get("conversations/2250700000709").json()["items"]
    assert (unknown["status"], unknown["changes_in"]) == (None, None)


@pytest.mark.parametrize(
    ("age", "status", "changes_in"), [(0, "pending", 2), (5, "sent", 5), (10, "delivered", None)]
)
def test_a_status_is_looked_at_again_when_it_is_due(
    age: float, status: str, changes_in: float | None
) -> None:
    delivery = Gateway().delivery
    assert (delivery.status(PHONE, age), delivery.changes_in(PHONE, age)) == (status, changes_in)


# --- search


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("COLIS", [OTHER, PHONE]),
        ("0101", [PHONE]),
        ("+225 07 00 00 01 02", [OTHER]),
        ("2024", [OTHER]),
        ("colis vert", [PHONE]),
        ("nothing", []),
        ("  ", [OTHER, PHONE]),
        ("<b>", []),
    ],
)
def test_a_number_or_a_text_is_found(
    browser: httpx.Client, gateway: Gateway, wanted: str, found: list[str]
) -> None:
    send(gateway, PHONE, "Colis")
    send(gateway, PHONE, "Colis vert")
    send(gateway, OTHER, "Colis 2024")
    assert phones(browser.get("conversations", params={"q": wanted})) == found


def test_a_search_comes_in_pages_too_even_inside_a_lot(browser: httpx.Client, gateway: Gateway) -> None:
    many = [f"22507000{number:05d}" for number in range(130)]
    send(gateway, ",".join(many), "soldes")
    send(gateway, OTHER, "autre")
    seen: list[str] = []
    below: int | None = None
    while not seen or below:
        reply = browser.get("conversations", params={"q": "SOLDES"} | ({"below": below} if below else {}))
        seen += phones(reply)
        below = reply.json()["below"]
    assert seen == many[::-1]


def test_a_search_lets_others_work_in_between(browser: httpx.Client, gateway: Gateway) -> None:
    gateway.set_balance(10**9)
    send(gateway, OTHER, "ancien")
    for _ in range(2500):
        send(gateway)
    assert phones(browser.get("conversations", params={"q": "ancien"})) == [OTHER]


# --- replies

Posted = list[tuple[str, Mapping[str, str]]]


@pytest.fixture
def posted() -> Posted:
    return []


@pytest.fixture
def answering(gateway: Gateway, posted: Posted) -> Callable[[int | Exception], SandboxServer]:
    """Make a server whose handsets reply to a URL that answers so."""

    def make(answer: int | Exception) -> SandboxServer:
        async def post(url: str, fields: Mapping[str, str]) -> int:
            posted.append((url, fields))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return SandboxServer(gateway, inbound=Inbound(url="http://localhost:8426/t", post=post))

    return make


def reply(server: SandboxServer, body: object, path: str = "/sandbox/inbox/reply") -> httpx.Response:
    return httpx.post(server.origin + path, content=json.dumps(body), headers=JSON, trust_env=False)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_reply_is_posted_as_the_platform_would_and_its_status_shown(
    answering: Callable[..., SandboxServer], gateway: Gateway, posted: Posted, status: int
) -> None:
    send(gateway, message="Avant")
    with answering(status) as server:
        sent = reply(server, {"phone": f"+{PHONE}", "text": "STOP é"}).json()
        send(gateway, message="Après")
        thread = httpx.get(f"{server.origin}/sandbox/inbox/conversations/{PHONE}", trust_env=False)
    ((url, fields),) = posted
    assert url == "http://localhost:8426/t"
    assert list(fields) == ["message_id", "form", "content", "sms_date"]
    assert (fields["form"], fields["content"]) == (PHONE, "STOP é")
    assert (sent["status"], sent["error"], sent["message_id"]) == (status, "", fields["message_id"])
    assert texts(thread) == ["Avant", "STOP é", "Après"]


def test_each_reply_has_an_id_of_its_own(answering: Callable[..., SandboxServer], posted: Posted) -> None:
    with answering(200) as server:
        for _ in range(3):
            reply(server, {"phone": PHONE, "text": "STOP"})
    assert len({fields["message_id"] for _, fields in posted}) == 3


def test_a_reply_without_an_answer_is_told_without_the_url(answering: Callable[..., SandboxServer]) -> None:
    with answering(ConnectionError("http://localhost:8426/t refused")) as server:
        sent = reply(server, {"phone": PHONE, "text": "STOP"}).json()
    assert (sent["status"], sent["error"]) == (None, "ConnectionError")


def test_replies_are_forgotten_with_the_journal(
    answering: Callable[..., SandboxServer], gateway: Gateway
) -> None:
    with answering(200) as server:
        reply(server, {"phone": PHONE, "text": "STOP"})
        gateway.journal.clear()
        send(gateway)
        thread = httpx.get(f"{server.origin}/sandbox/inbox/conversations/{PHONE}", trust_env=False)
    assert texts(thread) == ["Bonjour"]


def test_replies_stand_on_the_page_of_the_thread_where_they_were_written(
    answering: Callable[..., SandboxServer], gateway: Gateway
) -> None:
    with answering(200) as server:
        send(gateway)
        reply(server, {"phone": PHONE, "text": "early"})
        for _ in range(60):
            send(gateway)
        reply(server, {"phone": PHONE, "text": "late"})
        path = f"{server.origin}/sandbox/inbox/conversations/{PHONE}"
        last = httpx.get(path, trust_env=False)
        before = httpx.get(path, params={"below": last.json()["older"]}, trust_env=False)
    assert texts(last).index("late") == 50
    assert texts(before).index("early") == 1
    assert len(texts(before)) == 12


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"phone": "x", "text": "a"},
        {"phone": PHONE, "text": ""},
        {"phone": PHONE, "text": "a" * 5001},
        {"phone": 1},
    ],
)
def test_a_reply_that_is_none_is_refused(
    answering: Callable[..., SandboxServer], posted: Posted, body: object
) -> None:
    with answering(200) as server:
        assert reply(server, body).status_code == 400
    assert posted == []


def test_without_an_inbound_url_a_reply_is_refused_with_a_sentence(browser: httpx.Client) -> None:
    refused = browser.post("reply", json={"phone": PHONE, "text": "STOP"})
    assert (refused.status_code, "--inbound-url" in refused.json()["error"]) == (400, True)


async def _nobody(_url: str, _fields: Mapping[str, str]) -> int:
    return 200


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/t",
        "http://127.0.0.1.example.com/t",
        "http://10.0.0.1/t",
        "http://0.0.0.0/t",
        "http://localhost@example.com/t",
        "http://127.0.0.1\\@example.com/t",
        "http://localhost :1/t",
        "ftp://127.0.0.1/t",
        "127.0.0.1:8426/t",
        "http:///t",
        "",
    ],
)
def test_an_inbound_url_is_on_loopback(url: str) -> None:
    with pytest.raises(SandboxError, match="inbound URL is"):
        Inbound(url=url, post=_nobody)


@pytest.mark.parametrize("url", ["http://localhost:1/t", "https://[::1]:1/t", "http://127.9.9.9/t"])
def test_loopback_has_more_than_one_name(url: str) -> None:
    assert Inbound(url=url, post=_nobody).place.endswith("/…")


def test_another_machine_is_called_where_it_is_allowed() -> None:
    inbound = Inbound(url="https://example.com/t", post=_nobody, allow_remote=True)
    assert inbound.place == "https://example.com/…"


def test_an_otp_is_told_beside_its_text(browser: httpx.Client, gateway: Gateway) -> None:
    send_otp(gateway)
    send(gateway, message="Le code 1234 n'en est pas un")
    otp, text = browser.get(f"conversations/{PHONE}").json()["items"]
    assert (otp["otp"], text["otp"]) == (gateway.latest_otp(PHONE), None)
    assert LOGIN["password"] not in json.dumps(otp)
