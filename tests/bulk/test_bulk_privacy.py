"""What an error tracker could collect where the caller's own iterable fails: no number, whichever way it is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.staging import connect, phones
from vavasms import AsyncVavaSMS, InvalidNumberError, Msisdn, VavaSMS, parse_msisdn
from vavasms.sandbox import SandboxServer

Show = Callable[[BaseException], Iterator[str]]
TEXT = "un texte que nul ne lit"
#: 49 numbers, then a fault: of Python, of an iterator in C, and of one in a module whose name begins as ours.
ITERABLES = ["generator", "map", "neighbour"]


@pytest.fixture
def recipients(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    numbers = phones(49)
    if request.param == "map":
        broken: list[Any] = [*([number] for number in numbers), 5]
        return map("".join, broken)
    if request.param == "neighbour":
        source = "def read(numbers):\n    yield from numbers\n    raise ConnectionError\n"
        (tmp_path / "vavasms_neighbour.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "vavasms_neighbour", raising=False)
        return import_module("vavasms_neighbour").read(numbers)

    def read() -> Iterator[str]:
        yield from numbers
        raise ConnectionError

    return read()


async def _send(sms: AsyncVavaSMS, recipients: Any) -> None:
    await sms.send_bulk(recipients, TEXT, batch_size=20)


async def _stream(sms: AsyncVavaSMS, recipients: Any) -> None:
    async with sms.stream_bulk(recipients, TEXT, batch_size=20) as results:
        async for _result in results:
            pass


@pytest.mark.anyio
@pytest.mark.parametrize("recipients", ITERABLES, indirect=True)
@pytest.mark.parametrize("work", [_send, _stream])
async def test_a_fault_of_the_callers_iterable_shows_no_number(
    sandbox: SandboxServer, recipients: Any, work: Any, all_tracebacks: Show
) -> None:
    async with connect(sandbox) as sms:
        with pytest.raises((ConnectionError, TypeError)) as raised:
            await work(sms, recipients)
    check(raised.value, all_tracebacks)


@pytest.mark.parametrize("recipients", ITERABLES, indirect=True)
@pytest.mark.parametrize("work", ["send_bulk", "stream_bulk"])
def test_nor_does_it_in_the_callers_thread(
    sandbox: SandboxServer, recipients: Any, work: str, all_tracebacks: Show
) -> None:
    known = sandbox.gateway
    with (
        VavaSMS(
            known.username, known.password, sender_id="ACME", base_url=sandbox.url, trust_env=False
        ) as sms,
        pytest.raises((ConnectionError, TypeError)) as raised,
    ):
        if work == "send_bulk":
            sms.send_bulk(recipients, TEXT, batch_size=20)
        else:
            with sms.stream_bulk(recipients, TEXT, batch_size=20) as results:
                list(results)
    check(raised.value, all_tracebacks)


def check(error: BaseException, show: Show) -> None:
    for shown in show(error):
        if "vavasms_neighbour.py" in shown.partition(": ")[0]:
            # The caller's own frames are the caller's.
            continue
        assert TEXT not in shown
        assert "22507002" not in shown or "bulk_report" in shown, shown


def test_nor_does_a_number_that_is_refused(all_tracebacks: Show) -> None:
    with pytest.raises(InvalidNumberError) as raised:
        parse_msisdn("+225 07 00 20 00 0", default_region="CI")
    assert "07 00 20" not in "".join(all_tracebacks(raised.value))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "made", ["2250700000001,2250700000002", "22507 00 00 00 09", "", "+2250700000001", "0" * 40]
)
async def test_a_number_made_by_hand_is_read_like_any_text(sandbox: SandboxServer, made: str) -> None:
    one, two = phones(2)
    async with connect(sandbox) as sms:
        report = await sms.send_bulk([one, Msisdn(made), two], TEXT, batch_size=20)
    sent = [*map(str, report.results[0].recipients)]
    assert len(report.invalid) + len(sent) == 3
    assert {one, two} <= {*sent}
    assert all(number.isdecimal() and len(number) <= 15 for number in sent)
