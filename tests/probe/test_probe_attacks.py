"""What a gateway, a disk, a clock and an owner's hand may do to a probe, and what stays true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.probe.test_prober import phones, probing
from vavasms.config import DEFAULT_STATUS_PATH
from vavasms.errors import ConfigurationError
from vavasms.probe.journal import open_journal
from vavasms.probe.plan import ProbeStep, assess
from vavasms.profile.models import UNKNOWN
from vavasms.sandbox import Answer, Gateway, GatewayRules
from vavasms.sandbox.gateway import BALANCE, TEXT
from vavasms.sandbox.replies import success

_MONTH = 31 * 86_400.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a limit of the file's size, which Windows has not")
@pytest.mark.parametrize("room", [1, 20, 47, 48])
def test_what_a_full_disk_has_no_room_for_is_not_posted(room: int, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with open_journal(journal, "me", UNKNOWN):
        pass
    source = f"""
import resource
from pathlib import Path
from vavasms.errors import ConfigurationError
from vavasms.probe.journal import open_journal
from vavasms.probe.knowledge import make_intent
from vavasms.profile.models import UNKNOWN
path = Path({str(journal)!r})
with open_journal(path, "me", UNKNOWN) as journal:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + {room}, before[1]))
    try:
        journal.write(make_intent("plain", 1))
    except ConfigurationError as error:
        print(error.error_code, error.outcome)
    else:
        print("to be posted")
    finally:
        # What measures this process writes at its end.
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("config.probe_journal None\n", "")
    with open_journal(journal, "me", UNKNOWN) as again:
        assert again.known.tried == set()
        assert assess(ProbeStep.PLAIN, again.known).most == 1


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "journal.lock").mkdir()
    with pytest.raises(ConfigurationError) as caught, open_journal(tmp_path / "journal", "me", UNKNOWN):
        pass
    assert caught.value.error_code == "config.probe_journal"


def _refuse(code: int) -> Answer:
    return Answer(
        http_status=200, body=json.dumps({"code": code, "message": "NO", "description": ""}).encode()
    )


def _report(word: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {"message_id": fields["message_id"], "status": word}


@pytest.mark.anyio
async def test_words_without_end_leave_the_journal_whole(tmp_path: Path) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        if path != DEFAULT_STATUS_PATH or "message_id" not in fields:
            return None
        return success([_report(f"word {index}", fields) for index in range(60)])

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.PLAIN)
        await prober.run(ProbeStep.STATUS_PATH)
        await prober.run(ProbeStep.STATUSES)
        known = prober.known
    with open_journal(tmp_path / "journal", "me", UNKNOWN) as journal:
        assert journal.known == known
        assert journal.known.profile.status_path == DEFAULT_STATUS_PATH
        assert 0 < len(journal.known.profile.statuses) <= 50


@pytest.mark.anyio
@pytest.mark.parametrize("later", [-_MONTH, 2 * _MONTH])
async def test_a_clock_that_was_set_makes_no_path_absent(tmp_path: Path, later: float) -> None:
    async with probing(tmp_path) as (prober, _server):
        await prober.run(ProbeStep.PLAIN)
        began = prober.clock()
        prober.clock = lambda: began + later
        await prober.run(ProbeStep.STATUS_PATH)
        await prober.run(ProbeStep.STATUSES)
        assert prober.known.profile.has_status_call is None
        assert prober.known.profile.status_path == DEFAULT_STATUS_PATH


@pytest.mark.anyio
async def test_an_id_that_no_file_keeps_is_no_message(tmp_path: Path) -> None:
    def odd(path: str, _fields: Mapping[str, str]) -> Answer | None:
        body = (
            rb'{"code": 0, "message": "OPERATION_SUCCES", "data": {"lot_id": "L", "message_id": ["\ud800"]}}'
        )
        return Answer(http_status=200, body=body) if path == TEXT else None

    async with probing(tmp_path, odd) as (prober, _server):
        await prober.run(ProbeStep.PLAIN)
        assert prober.known.spent == 1


@pytest.mark.anyio
async def test_a_refill_is_no_billing(tmp_path: Path) -> None:
    """Else a lot whose good number is billed later would pass for one that went to nobody."""
    async with probing(tmp_path, rules=GatewayRules(lots_are_atomic=False)) as (prober, server):
        gateway = server.gateway

        def odd(path: str, _fields: Mapping[str, str]) -> Answer | None:
            if path == TEXT:
                gateway.refill(500)
            return None

        gateway.odd = odd  # type: ignore[attr-defined]
        await prober.run(ProbeStep.PLAIN)
        assert (prober.known.is_billed, prober.known.profile.unit_price) == (False, None)
        gateway.odd = lambda _path, _fields: None  # type: ignore[attr-defined]
        await prober.run(ProbeStep.BAD_NUMBER)
        assert assess(ProbeStep.LOT, prober.known).obstacle


@pytest.mark.anyio
async def test_a_lot_whose_two_numbers_were_both_accepted_cost_two(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path == TEXT and len(phones(fields)) == 2:
                gateway.refill(-20)
                return success({"lot_id": "L", "message_id": ["SM-1", "SM-2"]})
            return None

        gateway.odd = odd  # type: ignore[attr-defined]
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER):
            await prober.run(step)
        assert assess(ProbeStep.LOT, prober.known).most == 2
        await prober.run(ProbeStep.LOT)
        assert (prober.known.spent, prober.known.profile.lots_are_atomic) == (3, False)


@pytest.mark.anyio
async def test_what_is_refused_and_billed_may_be_spent(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path != TEXT:
                return None
            Gateway.handle(gateway, path, fields)
            return _refuse(905)

        gateway.odd = odd  # type: ignore[attr-defined]
        await prober.run(ProbeStep.PLAIN)
        assert (prober.known.spent, prober.known.may_have_spent) == (0, 1)


@pytest.mark.anyio
async def test_segments_that_are_billed_one_after_the_other_cost_two(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway
        hidden = [Decimal(0)]

        def odd(path: str, _fields: Mapping[str, str]) -> Answer | None:
            if path != BALANCE:
                return None
            shown = gateway.balance + hidden[0]
            hidden[0] = Decimal(0)
            return success({"amount": int(shown), "currency": "XOF"})

        gateway.odd = odd  # type: ignore[attr-defined]
        await prober.run(ProbeStep.PLAIN)

        def late(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path == TEXT:
                hidden[0] = Decimal(10)
            return odd(path, fields)

        gateway.odd = late  # type: ignore[attr-defined]
        prober.falls_within = prober.stands_for = 1.0
        await prober.run(ProbeStep.SEGMENTS)
        assert prober.known.profile.price_is_per_segment is not False


@pytest.mark.anyio
async def test_a_price_is_none_while_another_sms_is_still_to_be_billed(tmp_path: Path) -> None:
    async with probing(tmp_path, rules=GatewayRules(price_ucs2=Decimal(30))) as (prober, server):
        gateway = server.gateway
        hidden = [Decimal(0)]

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path == TEXT:
                # What is owed is billed with the next request.
                before = gateway.balance
                answer = Gateway.handle(gateway, path, fields)
                hidden[0] = before - gateway.balance
                return answer
            if path == BALANCE:
                return success({"amount": int(gateway.balance + hidden[0]), "currency": "XOF"})
            return None

        gateway.odd = odd  # type: ignore[attr-defined]
        await prober.run(ProbeStep.PLAIN)
        await prober.run(ProbeStep.UCS2)
        assert prober.known.profile.unit_price_ucs2 is None


@pytest.mark.anyio
async def test_a_refusal_for_want_of_money_is_no_limit_of_numbers(tmp_path: Path) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        if path == TEXT and len(phones(fields)) > 11:
            return _refuse(920)
        return None

    async with probing(tmp_path, odd, balance=130) as (prober, _server):
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER, ProbeStep.FREE_SIZES):
            await prober.run(step)
        assert prober.known.profile.batch_size is None


@pytest.mark.anyio
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_every_request_would_be_refused_for_is_no_limit_of_numbers(
    tmp_path: Path, status: int
) -> None:
    def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
        return Answer(http_status=status, body=b"") if path == TEXT and len(phones(fields)) > 11 else None

    async with probing(tmp_path, odd) as (prober, _server):
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER, ProbeStep.FREE_SIZES):
            await prober.run(step)
        assert prober.known.profile.batch_size is None


@pytest.mark.anyio
async def test_a_size_of_which_nobody_knows_counts_as_spent_where_the_balance_fell(tmp_path: Path) -> None:
    async with probing(tmp_path) as (prober, server):
        gateway = server.gateway

        def odd(path: str, fields: Mapping[str, str]) -> Answer | None:
            if path != TEXT or len(phones(fields)) != 4:
                return None
            gateway.refill(-40)
            return Answer(http_status=500, body=b"")

        gateway.odd = odd  # type: ignore[attr-defined]
        for step in (ProbeStep.PLAIN, ProbeStep.BAD_NUMBER, ProbeStep.FREE_SIZES):
            await prober.run(step)
        assert prober.known.committed == 5
        assert prober.known.profile.batch_size is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_what_is_no_file_is_no_journal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal")
    with pytest.raises(ConfigurationError) as caught, open_journal(tmp_path / "journal", "me", UNKNOWN):
        pass
    assert caught.value.error_code == "config.probe_journal"
