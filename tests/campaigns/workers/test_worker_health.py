"""The metrics of a worker equal the ledger, through faults and kills; `/ready` says when it cannot work."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import anyio
import psycopg
import pytest

from tests.campaigns.workers.health import Scrape, Scraper, WorkerProcess, check_privacy, worker
from tests.campaigns.workers.server import OwnServer, own_server
from tests.campaigns.workers.stage import SIZE, SharedCampaign, WorkerStage, poll
from vavasms import AsyncVavaSMS
from vavasms.campaigns.policy import Policy
from vavasms.campaigns.runner import CampaignRunner
from vavasms.errors import Outcome
from vavasms.ledger.models import CampaignStatus
from vavasms.ledger.postgres.ledger import PostgresLedger
from vavasms.ledger.sqlite.ledger import SqliteLedger
from vavasms.ledger.states import BatchState
from vavasms.sandbox import Fault, FaultKind, Moment
from vavasms.sandbox.journal import Journal

pytestmark = pytest.mark.slow

REFUSED = "2250700000903"
PRICE = Decimal(12)
#: What a dead worker had under way is taken for old, as it will be.
_AGE = "UPDATE vavasms.batch SET sending_at = sending_at - 7200 WHERE state = 'sending' AND worker LIKE %s"
_FAULTS = {
    Fault(kind=FaultKind.STALL, moment=Moment.AFTER_READING, seconds=0.05): 0.5,
    Fault(kind=FaultKind.STALL, moment=Moment.AFTER_ACCEPTING, seconds=0.1): 0.3,
    Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING): 0.02,
    Fault(kind=FaultKind.HTML): 0.02,
    Fault(kind=FaultKind.RATE_LIMIT, retry_after="1"): 0.01,
}


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """Yield a server to stop; never the one of `VAVASMS_TEST_POSTGRES`."""
    with own_server() as server:
        yield server


@pytest.fixture
def environment(stage: WorkerStage) -> Mapping[str, str]:
    """Return an environment with the gateway's account in it and no other setting."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VAVASMS_")}
    return {
        **bare,
        **stage.gateway.settings,
        "VAVASMS_SENDER_ID": "SANDBOX",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


def share(stage: WorkerStage, batches: int, url: str) -> SharedCampaign:
    """Start a campaign with a price and a rate, one of whose recipients the gateway refuses."""
    contacts, phones = stage.contacts(batches * SIZE - 1)
    contacts.write_text(f"{contacts.read_text()}{REFUSED}\n")
    policy = Policy(batch_size=SIZE, rate=200, unit_price=PRICE)
    campaign_id = anyio.run(partial(stage._share, url, contacts, policy))
    return SharedCampaign(stage=stage, url=url, id=campaign_id, contacts=contacts, phones=(*phones, REFUSED))


async def enqueue(stage: WorkerStage, url: str) -> None:
    async with await PostgresLedger.open(url) as ledger:
        known = stage.gateway.gateway
        async with AsyncVavaSMS(
            known.username,
            known.password,
            sender_id="SANDBOX",
            base_url=stage.gateway.url,
            ledger=ledger,
        ) as sms:
            await sms.enqueue("+2250700000001", "Bonjour", idempotency_key="order-42")
            await sms.enqueue(f"+{REFUSED}", "Bonjour", idempotency_key="order-43")


def count_codes(campaign: SharedCampaign) -> Counter[tuple[str, str]]:
    """Count recipients by outcome and error code, batch by batch."""
    names = {BatchState.ACCEPTED: "accepted", BatchState.REJECTED: "rejected", BatchState.UNKNOWN: "unknown"}
    found: Counter[tuple[str, str]] = Counter()
    for batch in campaign.batches():
        found[names[batch.state], batch.record.code or ""] += len(batch.recipients)
    return found


def check_against_ledger(scrape: Scrape, campaign: SharedCampaign) -> None:
    """Hold every sum of a scrape against what the ledger says, read in its own way."""
    status = campaign.status()
    recipients = +scrape.sum_by("vavasms_recipients", "outcome", kind="campaign")
    assert recipients == +Counter({each.value: getattr(status, each.value) for each in Outcome})
    by_code = +scrape.sum_by("vavasms_recipients", "outcome", "error_code", kind="campaign")
    assert by_code == count_codes(campaign)
    assert scrape.total("vavasms_queued_recipients") == scrape.total("vavasms_sending_recipients") == 0
    assert +scrape.sum_by("vavasms_batches", "state") == Counter(
        batch.state.value for batch in campaign.batches()
    )
    assert +scrape.sum_by("vavasms_campaigns", "state") == {"done": 1}
    assert scrape.total("vavasms_segments", kind="campaign") == status.segments
    assert scrape.total("vavasms_cost_xof") == status.segments * PRICE
    assert scrape.total("vavasms_queue_age_seconds") == 0
    sends = +scrape.sum_by("vavasms_recipients", "outcome", "error_code", kind="text")
    assert sends == {("accepted", ""): 1, ("rejected", "gateway.903"): 1}
    assert scrape.total("vavasms_segments", kind="text") == 1


def test_the_metrics_equal_the_ledger_after_faults_and_two_kills(
    stage: WorkerStage, database: str, environment: Mapping[str, str]
) -> None:
    stage.gateway.faults.set_rates(_FAULTS, seed=5)
    batches = 200
    campaign = share(stage, batches, database)
    anyio.run(enqueue, stage, database)
    url = f"postgresql:///?{urlencode(psycopg.conninfo.conninfo_to_dict(database))}"
    environment = {**environment, "VAVASMS_LEDGER": url}

    def check_whole(scrape: Scrape) -> None:
        """Nobody is lost at any moment: whatever happens, all recipients are somewhere."""
        check_privacy(scrape, "Bonjour", campaign.id, "order-42", database)
        if "vavasms_recipients" in scrape.names:
            names = ("vavasms_recipients", "vavasms_queued_recipients", "vavasms_sending_recipients")
            assert sum(scrape.total(name, kind="campaign") for name in names) == batches * SIZE
            assert scrape.total("vavasms_workers_alive") >= 1

    with ExitStack() as stack:
        first, second = (stack.enter_context(worker(environment)) for _ in range(2))
        scraper = Scraper(first, check_whole)
        with scraper.running():
            for share_left in (0.7, 0.4):
                campaign.wait_for_queued(int(batches * share_left))
                pid = f"%:{second.process.pid}:%"
                second.kill()
                with psycopg.connect(database, autocommit=True) as connection:
                    connection.execute(_AGE, [pid])
                # The scraped one is the next to die, and another takes its place.
                second, scraper.worker = scraper.worker, stack.enter_context(worker(environment))
            campaign.wait_for_end()
        assert scraper.scrapes > 10
        for each in (second, scraper.worker):
            # A reading is a second old at most, and the end was a moment ago.
            poll(partial(is_done, each), timeout=10)
            check_against_ledger(each.scrape(), campaign)
        last = second.scrape()
    assert campaign.audit().duplicates == campaign.audit().lost == campaign.audit().hidden == 0
    check_process_counts(last)
    outcomes = count_codes(campaign)
    # The faults and the kills came to something; which of them met which batch is chance.
    assert {code for _, code in outcomes} > {""}


def is_done(running: WorkerProcess) -> bool:
    """Whether a worker has read that the campaign is done."""
    return running.scrape().total("vavasms_campaigns", state="done") == 1


def check_process_counts(scrape: Scrape) -> None:
    """Hold what a process counts against itself: a latency for each request, and a wait for the rate."""
    requests = scrape.sum_by("vavasms_requests_total", "call")
    assert requests["send_text"] > 0
    assert requests == scrape.sum_by("vavasms_request_seconds_count", "call")
    assert scrape.sum_by("vavasms_requests_total", "outcome", call="send_text").keys() <= {
        each.value for each in Outcome
    }
    assert scrape.total("vavasms_rate_wait_seconds_total") > 0


def test_a_worker_is_not_ready_while_its_database_is_away(
    server: OwnServer, stage: WorkerStage, environment: Mapping[str, str]
) -> None:
    with worker({**environment, "VAVASMS_LEDGER": server.url}) as running:
        poll(lambda: bool(running.ready()["ready"]), timeout=20)
        assert running.scrape().total("vavasms_ready") == 1
        server.stop()
        poll(lambda: not running.ready()["ready"], timeout=20)
        said = running.ready()
        assert (said["worker"], said["ledger"], said["account"]) == ("ok", "ledger.failed", "ok")
        check_away(running)
        server.start()
        poll(lambda: bool(running.ready()["ready"]), timeout=40)
        poll(lambda: "vavasms_recipients" in running.scrape().names, timeout=20)


def check_away(running: WorkerProcess) -> None:
    """Hold a worker whose database is away: it lives, says what it knows itself, and guesses nothing."""
    assert running.get("/live") == (200, "alive\n")
    scrape = running.scrape()
    assert (scrape.total("vavasms_ledger_up"), scrape.total("vavasms_ready")) == (0, 0)
    assert "vavasms_recipients" not in scrape.names
    assert "vavasms_workers_alive" not in scrape.names
    assert scrape.total("vavasms_requests_total", call="balance") >= 1


def test_of_a_file_the_metrics_equal_the_ledger_after_faults_and_two_kills_too(
    stage: WorkerStage, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """A runner carries a campaign of the file, and workers what is enqueued in it."""
    stage.gateway.faults.set_rates(_FAULTS, seed=3)
    place = tmp_path / "ledger.db"
    environment = {**environment, "VAVASMS_LEDGER": str(place)}
    contacts, _ = stage.contacts(59)
    contacts.write_text(f"{contacts.read_text()}{REFUSED}\n")
    with ExitStack() as stack:
        running = stack.enter_context(worker(environment))
        scraper = Scraper(running, lambda scrape: check_privacy(scrape, "Bonjour", "order-"))
        with scraper.running():
            for first in (0, 40):
                anyio.run(enqueue_many, stage, place, range(first, first + 40))
                sent = stage.gateway.gateway.journal
                poll(partial(has_begun, sent, first), timeout=20, every=0.01)
                scraper.worker.kill()
                scraper.worker = stack.enter_context(worker(environment))
            stage.gateway.faults.clear()
            stage.gateway.faults.script(None, None, Fault(kind=FaultKind.CLOSE_AFTER_ACCEPTING))
            status = anyio.run(run_on_file, stage, place, contacts)
            poll(partial(is_empty, scraper.worker), timeout=60)
        last = scraper.worker.scrape()
    check_privacy(last, "Bonjour", "order-")
    found = count_sends(place)
    assert +last.sum_by("vavasms_recipients", "outcome", "error_code", kind="text") == found
    assert sum(found.values()) == 80
    # The kills came to something.
    assert found["unknown", "outcome.unknown.interrupted"] > 0
    recipients = +last.sum_by("vavasms_recipients", "outcome", kind="campaign")
    assert recipients == +Counter({each.value: getattr(status, each.value) for each in Outcome})
    assert last.total("vavasms_segments", kind="campaign") == status.segments
    assert last.total("vavasms_cost_xof") == status.segments * PRICE


def has_begun(journal: Journal, first: int) -> bool:
    """Whether some of what was enqueued last has arrived."""
    return len(journal) > first // 2 + 3


def is_empty(running: WorkerProcess) -> bool:
    """Whether nothing waits or is under way, as far as a worker has read."""
    scrape = running.scrape()
    return scrape.total("vavasms_queued_recipients") == scrape.total("vavasms_sending_recipients") == 0


async def enqueue_many(stage: WorkerStage, place: Path, numbers: range) -> None:
    async with await SqliteLedger.open(place) as ledger, stage.client(ledger=ledger) as sms:
        for number in numbers:
            to = f"+{REFUSED}" if number % 40 == 7 else f"+22507010{number:05}"
            await sms.enqueue(to, "Bonjour", idempotency_key=f"order-{number}")


async def run_on_file(stage: WorkerStage, place: Path, contacts: Path) -> CampaignStatus:
    """Run a campaign of the file to its end."""
    policy = Policy(batch_size=SIZE, rate=100, unit_price=PRICE)
    async with (
        await SqliteLedger.open(place) as ledger,
        stage.client() as sms,
        CampaignRunner(sms, ledger) as runner,
    ):
        campaign, _ = await runner.submit(contacts, "Bonjour", policy=policy)
        return (await runner.run(campaign.id)).status


def count_sends(place: Path) -> Counter[tuple[str, str]]:
    """Count the recipients of the sends by outcome and error code, row by row of the file itself."""
    found: Counter[tuple[str, str]] = Counter()
    with closing(sqlite3.connect(place)) as connection:
        for state, size, result in connection.execute("SELECT state, size, result FROM send"):
            code = json.loads(result or "{}").get("code") or ""
            found["not_sent" if state == "cancelled" else state, code] += size
    return found
