"""Some of a list: drawn by a seed, without those of another campaign, with columns that are kept."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from anyio.to_thread import run_sync
from attrs import evolve

from tests.campaigns.staging import phones
from vavasms.campaigns.planning.history import History, Reach, read_history
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.plan import CampaignPlan, Earlier, dump_plan
from vavasms.campaigns.planning.sample import draw_sample
from vavasms.errors import InvalidInputError
from vavasms.ledger.models import BatchRecord, NewBatch, NewCampaign
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.states import BatchEvent
from vavasms.numbers import Msisdn

pytestmark = pytest.mark.anyio

NEW = NewCampaign(id="new", account="ops", sender_id="ACME", message="Bonjour", created_at=1.0)


def write(path: Path, numbers: list[str]) -> Path:
    rows = [f"{number};Nom {place};R-{place}" for place, number in enumerate(numbers)]
    path.write_text("\n".join(["tel;Nom;Réf", *rows, ""]), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "list.csv", phones(1000))


async def load(
    path: Path | BinaryIO, message: str = "Bonjour", **options: Any
) -> tuple[CampaignPlan, dict[str, Any]]:
    """Plan a list into a ledger; return the plan, and the cells that are kept of each recipient."""
    history = options.pop("history", History())
    async with MemoryLedger() as ledger:
        await ledger.create(NEW)
        listing = Listing(contacts=path, **options)
        plan = await plan_listing(
            listing, message, batch_size=7, load=ledger, campaign_id="new", history=history
        )
        await ledger.finish_loading("new", plan=dump_plan(plan), plan_hash=plan.hash)
        batches = await ledger.batches("new", after=-1, limit=10_000)
        people = {
            str(number): cells
            for batch in batches
            for (number, _exclusion), cells in zip(batch.recipients, batch.kept, strict=True)
        }
    return plan, people


async def test_so_many_are_drawn_and_the_same_seed_draws_the_same_in_any_order(
    path: Path, tmp_path: Path
) -> None:
    plan, people = await load(path, sample=50, seed=7)
    assert (plan.recipients, plan.not_drawn, plan.numbers, len(people)) == (50, 950, 1000, 50)
    assert (plan.sample, plan.seed) == (50, 7)
    shuffled = phones(1000)
    random.Random(1).shuffle(shuffled)
    again, others = await load(write(tmp_path / "other.csv", shuffled), "Bonjour {Nom}", sample=50, seed=7)
    assert others.keys() == people.keys()
    assert (again.recipients, again.numbers) == (50, 1000)
    assert (await load(path, sample=50, seed=8))[1].keys() != people.keys()


async def test_without_a_seed_one_is_drawn_and_named(path: Path) -> None:
    plan, people = await load(path, sample=50)
    assert plan.seed is not None
    assert (await load(path, sample=50, seed=plan.seed)) == (plan, people)


async def test_a_sample_is_drawn_from_those_who_would_be_sent_to(tmp_path: Path) -> None:
    people = phones(10)
    path = write(tmp_path / "list.csv", ["2722412000", *people, people[0], "rien"])
    history = History(opted_out=frozenset(map(int, people[:3])))
    for seed in range(20):
        plan, drawn = await load(path, sample=7, seed=seed, history=history)
        assert drawn.keys() == set(people[3:])
        assert (plan.recipients, plan.opted_out, plan.refused, plan.not_drawn) == (7, 4, 2, 0)
    plan, drawn = await load(path, sample=100, seed=1, history=history)
    assert (len(drawn), plan.not_drawn) == (7, 0)


@pytest.mark.parametrize("is_pipe", [False, True])
async def test_a_sample_of_a_stream_is_drawn_as_from_a_file(path: Path, is_pipe: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return not is_pipe

    stream = Pipe(await run_sync(path.read_bytes))
    assert (await load(stream, sample=50, seed=7)) == (await load(path, sample=50, seed=7))


async def test_people_are_counted_once_for_a_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", [*phones(4), *phones(4)])
    plan, drawn = await load(path, sample=2, seed=1)
    assert (plan.sampled_from, plan.recipients, len(drawn)) == (4, 2, 2)
    assert plan.numbers == plan.kept + plan.duplicates + plan.not_drawn == 8


async def test_a_number_whose_first_text_is_empty_can_be_drawn_by_its_second(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("tel;texte\n0757000001;\n0757000001;Bonjour\n0757000002;Salut\n", encoding="utf-8")
    plan, drawn = await load(path, "{texte}", sample=2, seed=1)
    assert drawn.keys() == {"2250757000001", "2250757000002"}
    assert plan.numbers == plan.kept + plan.refused + plan.not_drawn == 3


def test_a_sample_is_fair() -> None:
    numbers = range(2250700000000, 2250700000100)
    counts = dict.fromkeys(numbers, 0)
    for seed in range(1000):
        for number in draw_sample(numbers, 10, seed):
            counts[number] += 1
    # Of a thousand draws of a tenth, 100 times each; 60 and 140 are four deviations away.
    assert 60 < min(counts.values()) <= max(counts.values()) < 140


@pytest.mark.parametrize(
    "options",
    [
        *({"sample": sample} for sample in (0, -1, 2.5, True, "2", 1 << 63)),
        *({"sample": 2, "seed": seed} for seed in (-1, "x", 1 << 63)),
        {"seed": 3},
    ],
)
def test_what_is_no_sample_is_one_sentence(options: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"(whole number|draws a sample).*othing was sent") as raised:
        Listing(contacts="list.csv", **options)
    assert raised.value.error_code == "list.sample"


async def test_the_cells_of_kept_columns_stay_with_their_recipients(path: Path) -> None:
    plan, people = await load(path, keep=["ref", "nom", "réf"])
    assert plan.keep == ("Réf", "Nom")
    assert people == {number: (f"R-{place}", f"Nom {place}") for place, number in enumerate(phones(1000))}
    plan, others = await load(path, "Bonjour {Nom}", keep="Réf")
    assert others == {number: (f"R-{place}",) for place, number in enumerate(phones(1000))}
    assert (await load(path))[1] == dict.fromkeys(phones(1000), ())


@pytest.mark.parametrize("cell", ["a\x00b", "d\té", "\u2028", "😀", '"', "\\N", "\ud800"])
async def test_whatever_a_cell_holds_is_kept(tmp_path: Path, cell: str) -> None:
    async with MemoryLedger() as ledger:
        await ledger.create(NEW)
        batch = NewBatch(
            number=0, message="B", segments=1, recipients=(Msisdn(phones(1)[0]),), kept=((cell, ""),)
        )
        await ledger.load("new", [batch])
        assert (await ledger.batches("new", after=-1, limit=1))[0].kept == ((cell, ""),)


@pytest.mark.parametrize("keep", [None, (), "", ["", ""]])
async def test_no_name_is_no_column(path: Path, keep: Any) -> None:
    assert (await load(path, keep=keep))[0].keep == ()


@pytest.mark.parametrize("keep", ["pays", ["Nom", "pays"], [5]])
async def test_a_kept_column_that_is_not_there_is_named_beside_those_that_are(path: Path, keep: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"no column (pays|5); its columns are: tel, Nom") as raised:
        await load(path, keep=keep)
    assert raised.value.error_code == "list.column"


async def test_who_is_in_another_campaign_is_left_out_each_time(tmp_path: Path) -> None:
    people = phones(10)
    path = write(tmp_path / "list.csv", [*people, people[0], people[9]])
    history = History(exclude=("first",), excluded=frozenset(map(int, people[:4])))
    plan, kept = await load(path, history=history)
    assert kept.keys() == set(people[4:])
    assert (plan.excluded, plan.duplicates, plan.kept, plan.numbers) == (5, 1, 6, 12)
    with pytest.raises(InvalidInputError, match=r"12 have the message of first, 0 refused, 0 opted out"):
        await load(path, history=evolve(history, excluded=frozenset(map(int, people))))


async def send(ledger: MemoryLedger, campaign_id: str, numbers: list[str], at: float) -> None:
    """Keep a campaign of four batches: accepted, unknown, rejected and queued."""
    await ledger.create(evolve(NEW, id=campaign_id, message=f"Texte {campaign_id}"))
    quarter = len(numbers) // 4
    batches = [
        NewBatch(
            number=place,
            message="B",
            segments=1,
            recipients=tuple(map(Msisdn, numbers[place * quarter : (place + 1) * quarter])),
        )
        for place in range(4)
    ]
    await ledger.load(campaign_id, batches)
    await ledger.finish_loading(campaign_id, plan="{}", plan_hash=campaign_id)
    await ledger.start(campaign_id)
    for place, event in enumerate((BatchEvent.ACCEPT, BatchEvent.MARK_UNKNOWN, BatchEvent.REJECT)):
        claim = await ledger.claim(campaign_id, place, token=f"{campaign_id}{place}", worker="w", now=at)
        assert claim is not None
        await ledger.settle(claim, event, BatchRecord())


async def test_the_history_is_of_who_has_a_message_or_may_have_it() -> None:
    midnight = 1_800_057_600.0
    async with MemoryLedger() as ledger:
        await send(ledger, "a", phones(8), midnight - 1)
        await send(ledger, "b", phones(8, 8), midnight + 1)
        await ledger.add_opt_outs([Msisdn(phones(1, 90)[0])], source="cli", now=1.0)
        history = await read_history(ledger, exclude=["a"], now=midnight + 3600)
        # The last two are queued still.
        assert history.excluded == frozenset(map(int, [*phones(4), *phones(2, 6)]))
        assert history.opted_out == frozenset(map(int, phones(1, 90)))
        (today, single) = history.today
        assert (today.campaign_id, today.sender_id, today.message) == ("b", "ACME", "Texte b")
        assert (today.numbers, single.numbers) == (frozenset(map(int, phones(4, 8))), frozenset())
        await ledger.create(evolve(NEW, id="half"))
        with pytest.raises(InvalidInputError, match="'half' is loading: exclude it once its list is whole"):
            await read_history(ledger, exclude=["half"], now=midnight)
        with pytest.raises(InvalidInputError, match="no campaign 'z'"):
            await read_history(ledger, exclude=["z"], now=midnight)


async def test_a_plan_says_who_had_a_message_today_and_whether_it_was_this_one(path: Path) -> None:
    numbers = list(map(int, phones(1000)))
    reaches = (
        Reach(campaign_id="a", sender_id="ACME", message="Bonjour", numbers=frozenset(numbers[:5])),
        Reach(campaign_id="b", sender_id="SHOP", message="Salut", numbers=frozenset([*numbers[3:5], 1])),
        Reach(campaign_id="c", sender_id="SHOP", message="Salut", numbers=frozenset([1, 2])),
        Reach(numbers=frozenset(numbers[10:13])),
    )
    plan, _people = await load(path, history=History(today=reaches))
    assert plan.earlier == (
        Earlier(campaign_id="a", sender_id="ACME", is_same_message=True, count=5),
        Earlier(campaign_id="b", sender_id="SHOP", is_same_message=False, count=2),
        Earlier(campaign_id=None, sender_id=None, is_same_message=False, count=3),
    )
    assert plan.recipients == 1000
