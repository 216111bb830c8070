"""No check is waited for longer than that: not by the report, and not by the end of the program."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vavasms.config import Secret
from vavasms.doctor import inbound, ledger, network
from vavasms.doctor.findings import Finding
from vavasms.doctor.inbound import check_inbound
from vavasms.doctor.ledger import check_ledger
from vavasms.doctor.network import check_dns, check_proxy, read_parts
from vavasms.doctor.threads import run_abandonable

pytestmark = pytest.mark.anyio


class Stall:
    """What blocks a thread, as the system does; the end of a program waits for each that is no daemon."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.are_daemons: list[bool] = []

    def __call__(self, *_words: object, **_options: object) -> list[object]:
        self.are_daemons.append(threading.current_thread().daemon)
        self.end.wait(10)
        raise OSError


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stall]:
    stall = Stall()
    for module in (inbound, ledger, network):
        monkeypatch.setattr(module, "PATIENCE", 0.2, raising=False)
    yield stall
    stall.end.set()


@pytest.mark.parametrize("check", ["dns", "proxy", "inbound", "database"])
async def test_a_name_server_that_says_nothing_holds_up_no_end_of_the_program(
    check: str, stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", stall)
    found = await examine_slow(check)
    assert (found.state, found.is_unreached) == ("bad", True)
    assert "hunter2" not in found.sentence + found.step
    assert stall.are_daemons
    assert all(stall.are_daemons)


async def examine_slow(check: str) -> Finding:
    if check == "dns":
        parts = read_parts("https://slow.invalid/api")
        assert parts is not None
        return await check_dns(parts)
    if check == "proxy":
        return await check_proxy("http://teller:hunter2@slow.invalid:3128")
    if check == "inbound":
        return await check_inbound(Secret("https://slow.invalid/hunter2"))
    pytest.importorskip("psycopg")
    return (await check_ledger(Secret("postgresql://teller:hunter2@slow.invalid/till")))[0]


async def test_a_disk_that_says_nothing_holds_up_no_end_of_the_program(
    stall: Stall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ledger, "_check_file", stall)
    found, *others = await check_ledger(tmp_path / "ledger.db")
    assert (found.state, found.is_unreached, {other.state.value for other in others}) == (
        "bad",
        True,
        {"skipped"},
    )
    assert stall.are_daemons == [True]


async def test_what_the_thread_raises_is_raised_where_its_result_is_wanted() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_abandonable(fail, patience=10)
    assert await run_abandonable(lambda: "result", patience=10) == "result"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://teller:hunter2@one.example,two.example:5433/till", ["one.example", "two.example"]),
        ("postgresql://teller@one.example/till?hostaddr=192.0.2.1", []),
        ("postgresql:///till?host=/run/postgresql", []),
        ("postgresql:///till", ["of-the-environment.example"]),
    ],
)
async def test_the_names_of_a_connection_string_are_looked_up_first(
    url: str, hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    from vavasms.storage.postgres.connection import list_hosts

    monkeypatch.setenv("PGHOST", "of-the-environment.example")
    assert list(list_hosts(Secret(url))) == hosts
