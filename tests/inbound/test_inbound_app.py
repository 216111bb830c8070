"""What the app answers to the platform, and to anybody else."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import pytest
import trio.testing

from tests.inbound.posting import TOKEN, post, sms
from vavasms.errors import InvalidInputError
from vavasms.inbound.asgi import InboundApp
from vavasms.inbound.seen.base import ClaimStatus, SeenStore
from vavasms.inbound.seen.memory import MemorySeenStore
from vavasms.inbound.seen.sqlite import SqliteSeenStore
from vavasms.models import InboundMessage

pytestmark = pytest.mark.anyio

NUMBER, TEXT = "+2250700000101", "Mon secret"
Inbox = list[InboundMessage]


@pytest.fixture
def inbox() -> Inbox:
    """What the handler was given."""
    return []


@pytest.fixture
def app(inbox: Inbox) -> InboundApp:
    """Return an app whose handler keeps what it is given."""

    async def keep(message: InboundMessage) -> None:
        inbox.append(message)

    return InboundApp(keep, token=TOKEN)


async def test_a_message_is_handed_over_and_acknowledged(app: InboundApp, inbox: Inbox) -> None:
    answer = await post(app, sms(text=TEXT, sender=NUMBER))
    assert (answer.status, answer.text) == (200, "Handled.\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.text)
    assert [(each.sender, each.text) for each in inbox] == [(NUMBER, TEXT)]


async def test_a_copy_is_acknowledged_but_not_handed_over(app: InboundApp, inbox: Inbox) -> None:
    for _ in range(3):
        assert (await post(app, sms())).status == 200
    assert len(inbox) == 1
    assert (await post(app, sms("SM-2"))).status == 200
    assert len(inbox) == 2


async def test_a_multipart_body_is_read_by_its_type(app: InboundApp, inbox: Inbox) -> None:
    body = b'{"message_id": "SM-1", "from": "98555", "content": "x"}'
    assert (await post(app, body, headers=[(b"content-type", b"application/json")])).status == 200
    assert inbox[0].sender == "98555"


@pytest.mark.parametrize(
    "path", ["/", "", "/x", f"/{TOKEN[:-1]}", f"/{TOKEN}0", f"/x/{TOKEN}", f"/{TOKEN}/", f"//{TOKEN}"]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_without_the_token_there_is_nothing(
    app: InboundApp, inbox: Inbox, path: str, method: str
) -> None:
    answer = await post(app, sms(), path=path, method=method)
    assert (answer.status, inbox) == (404, [])
    assert "allow" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"])
async def test_with_the_token_only_a_post_will_do(app: InboundApp, inbox: Inbox, method: str) -> None:
    answer = await post(app, sms(), method=method)
    assert (answer.status, answer.headers["allow"], inbox) == (405, "POST", [])


async def test_two_tokens_are_valid_during_a_rotation(inbox: Inbox) -> None:
    other = token_hex(20)
    app = InboundApp(inbox.append, token=[TOKEN, other])
    assert (await post(app, sms("SM-1"))).status == 200
    assert (await post(app, sms("SM-1"), path=f"/{other}")).status == 200
    assert (await post(app, sms("SM-2"), path=f"/{other}")).status == 200
    assert len(inbox) == 2


def test_a_weak_token_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidInputError, match="128 random bits"):
        InboundApp(print, token="secret")


@pytest.mark.parametrize("root_path", ["/sms", "/sms/", "/a/b"])
async def test_it_works_below_a_prefix(app: InboundApp, root_path: str) -> None:
    path = f"/{TOKEN}" if not root_path.endswith("/") else TOKEN
    assert (await post(app, sms(), path=path, root_path=root_path)).status == 200


async def test_a_server_that_leaves_the_prefix_out_of_the_path_is_understood(app: InboundApp) -> None:
    scope = {"type": "http", "method": "GET", "path": f"/{TOKEN}", "root_path": "/sms", "headers": []}
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, partial(anyio.sleep, 0), send)
    assert sent[0]["status"] == 405
    assert scope["path"] == "/hidden"


async def test_only_allowed_addresses_get_in_and_others_learn_nothing(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    app = InboundApp(inbox.append, token=TOKEN, allow=["198.51.100.0/24"], trusted_proxies=["10.0.0.1"])
    forged = [(b"x-forwarded-for", b"198.51.100.9")]
    assert (await post(app, sms(), client=("192.0.2.7", 1))).text == (await post(app, sms(), path="/x")).text
    assert (await post(app, sms(), headers=forged)).status == 404
    assert (await post(app, sms(), client=None)).status == 404
    assert (await post(app, sms(), method="GET")).status == 404
    assert "address that is not allowed" in caplog.text
    assert inbox == []
    assert (await post(app, sms(), client=("198.51.100.9", 1))).status == 200
    assert (await post(app, sms("2"), client=("10.0.0.1", 1), headers=forged)).status == 200
    assert len(inbox) == 2


@pytest.mark.parametrize("parts", [1, 3, 50])
async def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(app: InboundApp, parts: int) -> None:
    body = sms(text="x" * 70_000)[:65_536]
    for more, status in ((b"", 200), (b"x", 413)):
        whole = body + more
        step = -(-len(whole) // parts)
        answer = await post(app, [whole[at : at + step] for at in range(0, len(whole), step)])
        assert answer.status == status
        assert answer.headers.get("connection") == (None if status == 200 else "close")


async def test_an_endless_body_is_not_read_to_its_end(app: InboundApp) -> None:
    endless = [b"x" * 65_536] * 1_000
    assert (await post(app, endless)).status == 413
    declared = [(b"content-length", b"999999999")]
    assert (await post(app, endless, headers=declared)).status == 413


@pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}), id="trio")],
)
async def test_a_body_that_is_not_whole_after_10_seconds_is_refused_and_the_connection_closed(
    app: InboundApp,
) -> None:
    began, sent = anyio.current_time(), []

    async def receive() -> Any:
        await anyio.sleep(0.9)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": f"/{TOKEN}", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert anyio.current_time() - began == pytest.approx(10)
    sent.clear()
    await app(scope | {"path": f"/{TOKEN}", "http_version": "2"}, receive, send)
    assert (b"connection", b"close") not in sent[0]["headers"]


async def test_who_hangs_up_gets_no_answer(app: InboundApp, inbox: Inbox) -> None:
    events = [{"type": "http.request", "body": sms(), "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    await app({"type": "http", "method": "POST", "path": f"/{TOKEN}", "headers": []}, receive, send)
    assert (sent, inbox) == ([], [])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "An inbound SMS without message_id."),
        (b"message_id=1&content=x", "An inbound SMS without form (the sender)."),
        (b"&".join(b"f%d=x" % each for each in range(21)), "An inbound SMS with more than 20 fields."),
        (sms("x" * 201), "A message_id has at most 200 characters that can be printed."),
        (sms("a\x1b[2J"), "A message_id has at most 200 characters that can be printed."),
        (sms("a\x00b"), "A message_id has at most 200 characters that can be printed."),
        (b"\xff\xfe", "An inbound SMS without message_id."),
    ],
)
async def test_a_body_that_is_no_sms_is_refused_in_one_sentence(
    app: InboundApp, body: bytes, sentence: str
) -> None:
    answer = await post(app, body)
    assert (answer.status, answer.text) == (400, f"{sentence}\n")


class Awkward:
    """A callable whose call is async."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def __call__(self, message: InboundMessage) -> None:
        self.inbox.append(message)


async def test_handlers_may_be_async_plain_or_anything_between(inbox: Inbox) -> None:
    async def handle(box: Inbox, message: InboundMessage) -> None:
        box.append(message)

    kinds: list[Any] = [
        inbox.append,
        Awkward(inbox),
        partial(handle, inbox),
        lambda message: handle(inbox, message),
    ]
    for no, each in enumerate(kinds, 1):
        app = InboundApp(each, token=TOKEN)
        assert (await post(app, sms())).status == 200
        assert len(inbox) == no


async def test_a_plain_handler_does_not_hold_the_event_loop_up() -> None:
    def handle(message: InboundMessage) -> None:
        # Would fail in the loop's own thread.
        anyio.from_thread.run(anyio.lowlevel.checkpoint)

    assert (await post(InboundApp(handle, token=TOKEN), sms())).status == 200


async def test_a_handler_that_raises_is_500_and_the_next_try_is_handled_anew(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(message: InboundMessage) -> None:
        inbox.append(message)
        if len(inbox) < 3:
            raise ValueError(message.text, message.sender)

    app = InboundApp(handle, token=TOKEN)
    statuses = [(await post(app, sms(text=TEXT, sender=NUMBER))).status for _ in range(4)]
    assert (statuses, len(inbox)) == ([500, 500, 200, 200], 3)
    assert "The inbound SMS SM-1 was not handled: ValueError at test_inbound_app.py:" in caplog.text
    assert not any(each.exc_info for each in caplog.records)
    assert TEXT not in caplog.text
    assert NUMBER.strip("+") not in caplog.text


async def test_the_same_id_with_other_content_is_reported_and_not_handled(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    conflicts: Inbox = []
    app = InboundApp(inbox.append, token=TOKEN, on_conflict=conflicts.append)
    assert (await post(app, sms(sms_date="2026-01-01 10:00"))).status == 200
    assert (await post(app, sms(sms_date="2026-01-01 10:05"))).status == 200
    assert conflicts == []
    assert (await post(app, sms(text=TEXT))).status == 200
    assert (len(inbox), [each.text for each in conflicts]) == (1, [TEXT])
    assert "The inbound SMS SM-1 came again with other content" in caplog.text
    assert TEXT not in caplog.text


async def test_a_conflict_needs_nobody_to_hear_of_it_and_a_report_that_fails_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(message: InboundMessage) -> None:
        raise ValueError(message.text)

    for on_conflict in (None, fail):
        app = InboundApp(lambda message: None, token=TOKEN, on_conflict=on_conflict)
        assert [(await post(app, sms(text=text))).status for text in ("a", TEXT)] == [200, 200]
    assert "on_conflict failed: ValueError at" in caplog.text
    assert TEXT not in caplog.text


async def test_while_another_process_has_the_message_the_platform_is_told_to_come_later() -> None:
    class Busy(MemorySeenStore):
        async def claim(self, message_id: str, digest: bytes, owner: str) -> ClaimStatus:
            return ClaimStatus.BUSY

    app = InboundApp(print, token=TOKEN, seen=Busy(lease=-10.0))
    answer = await post(app, sms())
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")


async def test_a_store_given_by_its_path_is_opened_at_the_first_message_and_kept(
    inbox: Inbox, tmp_path: Path
) -> None:
    for _ in range(2):
        app = InboundApp(inbox.append, token=TOKEN, seen=tmp_path / "seen.db")
        assert [(await post(app, sms())).status for _ in range(2)] == [200, 200]
        await app.aclose()
        await app.aclose()
    assert len(inbox) == 1


async def test_a_store_that_was_given_open_is_left_open(inbox: Inbox, tmp_path: Path) -> None:
    async with await SqliteSeenStore.open(tmp_path / "seen.db") as store:
        app = InboundApp(inbox.append, token=TOKEN, seen=store)
        assert (await post(app, sms())).status == 200
        await app.aclose()
        assert await store.claim("SM-1", b"", "me") is ClaimStatus.CONFLICT


async def test_a_store_that_cannot_be_opened_is_500_and_tried_again(
    inbox: Inbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "seen.db"
    place.write_text("something else, at some length " * 100)
    app = InboundApp(inbox.append, token=TOKEN, seen=str(place))
    assert (await post(app, sms())).status == 500
    assert "was not handled" in caplog.text
    place.unlink()
    assert (await post(app, sms())).status == 200
    await app.aclose()


async def lifespan(app: InboundApp) -> list[Any]:
    events, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_the_lifespan_opens_and_closes_the_store(tmp_path: Path) -> None:
    app = InboundApp(print, token=TOKEN, seen=tmp_path / "seen.db")
    assert [each["type"] for each in await lifespan(app)] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert (tmp_path / "seen.db").exists()
    assert not (tmp_path / "seen.db-wal").exists()


async def test_a_store_that_cannot_be_opened_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("something else, at some length " * 100)
    (failed,) = await lifespan(InboundApp(print, token=TOKEN, seen=tmp_path / "theirs"))
    assert failed["type"] == "lifespan.startup.failed"
    assert str(tmp_path / "theirs") in failed["message"]


async def test_a_websocket_is_closed_and_what_is_unknown_left_alone(app: InboundApp) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        sent.append(event)

    await app({"type": "websocket", "path": f"/{TOKEN}"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]
    await app({"type": "other"}, receive, send)
    assert len(sent) == 1


async def test_sixteen_connections_with_the_same_messages_handle_each_once(
    kind: Any, store: SeenStore
) -> None:
    handled: list[str] = []

    async def handle(message: InboundMessage) -> None:
        await anyio.lowlevel.checkpoint()
        handled.append(message.message_id)

    apps = [InboundApp(handle, token=TOKEN, seen=store) for _ in range(2)]
    statuses: list[int] = []

    async def connection(no: int) -> None:
        for each in range(20):
            statuses.append((await post(apps[no % 2], sms(f"SM-{each}"))).status)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for no in range(16):
                tasks.start_soon(connection, no)
    assert statuses == [200] * 320
    assert sorted(handled) == sorted(f"SM-{each}" for each in range(20))


async def test_nothing_of_a_number_or_a_text_or_a_token_is_logged_or_shown(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = InboundApp(inbox.append, token=TOKEN)
    for text in (TEXT, "STOP", TEXT):
        await post(app, sms(text=text, sender=NUMBER))
    await post(app, sms(text=TEXT, sender=NUMBER), path=f"/{TOKEN}x")
    shown = caplog.text + repr(app) + repr(vars(app)) + repr(inbox)
    assert not any(each in shown for each in (TEXT, NUMBER, TOKEN))
