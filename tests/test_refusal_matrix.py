"""Every status over every body, after the gateway has accepted: nobody twice, and nobody called unsent.

Real sockets, and a gateway whose journal is the truth. A send alone, in bulk, and in a campaign that is
resumed, each repeated as far as what it said of itself allows.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import anyio
import pytest
from attrs import frozen

from tests.campaigns.staging import TEXT, Stage, connect
from vavasms import AsyncVavaSMS
from vavasms.bulk.models import BulkReport
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import Outcome, VavaSMSError
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import CampaignState
from vavasms.sandbox import Fault, FaultKind, Moment, SandboxServer
from vavasms.transport.outcome import REFUSED, TURNED_AWAY

pytestmark = pytest.mark.exhaustive

SUCCESS = json.dumps(
    {"code": 0, "message": "OPERATION_SUCCES", "data": {"lot_id": "L-1", "message_id": ["SM-1", "SM-2"]}}
).encode()
NOTICE = b"<br />\n<b>Notice</b>:  Undefined index: x in <b>/srv/x.php</b> on line <b>3</b><br />\n"
PAGE = b"<html><head><style>b{margin:0}</style></head><body>Request blocked.</body></html>"
#: What makes a campaign send again, once its password is right.
REFUSAL = b'{"code": 901, "message": "INVALID_CREDENTIALS"}'
GZIP, DEFLATE = {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate"}


@frozen(kw_only=True)
class Body:
    """What the gateway answers once it has accepted."""

    content: bytes
    headers: Mapping[str, str] = {}
    #: Nothing in it speaks of a success: only the status would.
    is_silent: bool = False


BODIES = {
    "empty": Body(content=b"", is_silent=True),
    "HTML": Body(content=PAGE, is_silent=True),
    "JSON of a proxy": Body(content=b'{"error": "blocked"}', is_silent=True),
    "success": Body(content=SUCCESS),
    "success behind a notice": Body(content=NOTICE + SUCCESS),
    "success before a notice": Body(content=SUCCESS + b"\n" + NOTICE),
    "success between notices": Body(content=NOTICE + SUCCESS + NOTICE),
    "cut": Body(content=SUCCESS[:-20]),
    "cut before its code": Body(content=b'{"message": "OPERA'),
    "two codes": Body(content=b'{"code": 0, "code": 904, "message": "REFUSED"}'),
    "two codes, one escaped": Body(content=b'{"c\\u006fde": 0, "code": 904, "message": "REFUSED"}'),
    "two codes, the other escaped": Body(content=b'{"code": 0, "c\\u006fde": 904, "message": "REFUSED"}'),
    "two documents": Body(content=b'{"code": 904, "message": "REFUSED"}\n' + SUCCESS),
    "two documents, the success first": Body(content=SUCCESS + b'\n{"code": 904, "message": "REFUSED"}'),
    "UTF-16": Body(content=SUCCESS.decode().encode("utf-16")),
    "UTF-16 without a mark": Body(content=SUCCESS.decode().encode("utf-16-le")),
    "compressed": Body(content=gzip.compress(SUCCESS), headers=GZIP),
    "compressed, behind a page": Body(content=gzip.compress(PAGE) + gzip.compress(SUCCESS), headers=GZIP),
    "compressed, behind a refusal": Body(content=gzip.compress(REFUSAL) + SUCCESS, headers=GZIP),
    "compressed, behind another": Body(content=zlib.compress(REFUSAL) + SUCCESS, headers=DEFLATE),
    "compressed and cut": Body(content=gzip.compress(PAGE + SUCCESS)[:60], headers=GZIP),
    "compressed, and nobody says so": Body(content=gzip.compress(SUCCESS)),
    "9 MB": Body(content=SUCCESS + b" " * 9_000_000),
    "9 MB of a page": Body(content=PAGE * 120_000),
    "an array": Body(content=b"[" + SUCCESS + b"]"),
    "in an error page": Body(content=b"<html><pre>" + SUCCESS + b"</pre></html>"),
    "escaped in an error page": Body(content=b"<pre>" + SUCCESS.replace(b'"', b"&quot;") + b"</pre>"),
    "in a refusal": Body(content=b'{"code": 904, "message": "REFUSED", "data": ' + SUCCESS + b"}"),
    "in a refusal, escaped": Body(content=b'{"code": 904, "message": "REFUSED", "data": {"c\\u006fde": 0}}'),
    "a refusal without a name": Body(content=b'{"code": 904}', is_silent=True),
    "a refusal with a lot": Body(
        content=REFUSAL[:-1] + b', "data": {"lot_id": "L-1", "message_id": ["SM-1"]}}'
    ),
    "a refusal with two names": Body(content=b'{"message": "OPERATION_SUCCES",' + REFUSAL[1:]),
    "a refusal behind a success that is cut": Body(content=b"Notice: " + SUCCESS[11:-20] + b"\n" + REFUSAL),
    "a refusal with a success that only a parser sees": Body(
        content=REFUSAL[:-1] + b", data: {c\\u006fde: .0},}"
    ),
    "a refusal in broken JSON with a success": Body(
        content=b'{"code": "904", "status": "REFUSED", "data": {"code": 0},}'
    ),
}
STATUSES = sorted(
    {200, 201, 206, 299, 301, 302, 303, 307, 308, 402, 406, 408, 409, 410, 418, 451, 500, 502, 503, 504, 599}
    | REFUSED
    | TURNED_AWAY
)
FEW = (200, 307, 400, 403, 404, 413, 422, 429, 503)
_NUMBERS = count()


def numbers_of(many: int) -> list[str]:
    return [f"2250758{next(_NUMBERS) % 1_000_000:06d}" for _ in range(many)]


def client(sandbox: SandboxServer, body: Body) -> AsyncVavaSMS:
    """Make a client that believes a status as far as it may: where only the status speaks, it must not."""
    trusting = not body.is_silent
    return connect(sandbox, retry_refused=trusting, refusals_are_final=trusting, trust_env=False)


def script(sandbox: SandboxServer, status: int, body: Body) -> None:
    sandbox.faults.clear()
    sandbox.gateway.journal.clear()
    sandbox.faults.script(
        Fault(
            kind=FaultKind.STATUS,
            moment=Moment.AFTER_ACCEPTING,
            status=status,
            body=body.content,
            headers=tuple(body.headers.items()),
        ),
        path=TEXT,
    )


async def alone(sandbox: SandboxServer, body: Body, folder: Path) -> list[str]:
    del folder
    numbers = numbers_of(2)
    outcome: Outcome | None = Outcome.NOT_SENT
    sentence = ""
    async with client(sandbox, body) as sms:
        while outcome is Outcome.NOT_SENT:
            try:
                await sms.send(numbers, "Bonjour")
                outcome = Outcome.ACCEPTED
            except VavaSMSError as error:
                outcome, sentence = error.outcome, str(error)
    assert "Nothing was sent" not in sentence
    assert outcome in {Outcome.ACCEPTED, Outcome.UNKNOWN}
    return numbers


def check(report: BulkReport, taken: Mapping[str, int]) -> None:
    for outcome in (Outcome.NOT_SENT, Outcome.REJECTED):
        assert not {str(number) for number in report.recipients(outcome)} & taken.keys()
    assert {str(number) for number in report.recipients(Outcome.ACCEPTED)} <= taken.keys()


async def in_bulk(sandbox: SandboxServer, body: Body, folder: Path) -> list[str]:
    del folder
    numbers = numbers_of(6)
    async with client(sandbox, body) as sms:
        rest: list[str] = numbers
        while rest:
            report = await sms.send_bulk(rest, "Bonjour", batch_size=2, concurrency=1)
            check(report, sandbox.gateway.journal.counts())
            rest = [str(number) for number in report.recipients(Outcome.NOT_SENT)]
    return numbers


async def in_a_campaign(sandbox: SandboxServer, body: Body, folder: Path) -> list[str]:
    numbers = numbers_of(6)
    async with client(sandbox, body) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
        stage = Stage(runner=runner, sandbox=sandbox, folder=folder)
        run = await stage.run(numbers, batch_size=2, concurrency=2)
        assert not run.status.rejected
        for batch in await stage.batches(run.status.id):
            taken = {stage.received().get(str(number), 0) for number, _ in batch.recipients}
            assert taken == ({0} if batch.state.value == "queued" else {1})
        while run.status.state is CampaignState.PAUSED:
            run = await runner.run(run.status.id)
    assert run.status.state is CampaignState.DONE
    assert (run.status.accepted + run.status.unknown, run.status.rejected) == (6, 0)
    return numbers


WAYS = {"alone": alone, "in bulk": in_bulk, "in a campaign": in_a_campaign}


def send(sandbox: SandboxServer, way: str, body: Body, status: int, folder: Path, backend: str) -> list[str]:
    """Send until nothing is called not sent, the first request accepted and answered so; return to whom."""

    numbers: list[str] = []

    async def work() -> None:
        script(sandbox, status, body)
        with anyio.fail_after(60):
            numbers.extend(await WAYS[way](sandbox, body, folder))

    anyio.run(work, backend=backend)
    return numbers


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("way", WAYS)
def test_what_was_accepted_is_never_refused_by_a_status(
    sandbox: SandboxServer, tmp_path: Path, way: str, name: str
) -> None:
    body = list(BODIES).index(name)
    for at, status in enumerate(FEW):
        if way != "alone" and at % 3 != body % 3:
            # What is sent in bulk has its outcome from a send alone: each body has some, each status has some.
            continue
        numbers = send(sandbox, way, BODIES[name], status, tmp_path, ("asyncio", "trio")[at % 2])
        assert sandbox.gateway.journal.counts() == dict.fromkeys(numbers, 1)


@pytest.mark.full
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("way", WAYS)
def test_what_was_accepted_is_never_refused_by_any_status(
    sandbox: SandboxServer, tmp_path: Path, way: str, name: str, backend: str
) -> None:
    for status in STATUSES:
        numbers = send(sandbox, way, BODIES[name], status, tmp_path, backend)
        assert sandbox.gateway.journal.counts() == dict.fromkeys(numbers, 1)


#: A readable success under a 4xx has a row of its own in the table: unknown, and the next one is tried.
_READABLE = {"success", "success behind a notice", "compressed"}


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(BODIES.keys() - _READABLE))
async def test_the_first_that_only_a_status_refuses_stops_a_bulk_send(
    sandbox: SandboxServer, name: str
) -> None:
    for status in (400, 413, 422):
        script(sandbox, status, BODIES[name])
        async with connect(sandbox) as sms:
            report = await sms.send_bulk(numbers_of(10), "Bonjour", batch_size=2, concurrency=1)
        assert (report.unknown, report.not_sent) == (2, 8)
        assert not {*report.recipients(Outcome.NOT_SENT)} & sandbox.gateway.journal.counts().keys()


@pytest.mark.anyio
async def test_the_first_that_only_a_status_refuses_stops_a_campaign(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    for status in sorted(REFUSED):
        script(sandbox, status, BODIES["HTML"])
        async with connect(sandbox) as sms, CampaignRunner(sms, MemoryLedger()) as runner:
            stage = Stage(runner=runner, sandbox=sandbox, folder=tmp_path)
            run = await stage.run(numbers_of(10), batch_size=2)
            assert (run.status.state, run.status.unknown, run.status.queued) == (CampaignState.PAUSED, 2, 8)
            assert f"HTTP {status}" in (run.status.reason or "")
            run = await runner.run(run.status.id)
        assert (run.status.state, run.status.unknown, run.status.accepted) == (CampaignState.DONE, 2, 8)
        assert set(stage.received().values()) == {1}
