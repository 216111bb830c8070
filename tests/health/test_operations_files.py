"""The alerts and the dashboard of the guide speak of what a worker serves, and of nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from attrs import evolve

from tests.cli.conftest import Finished
from tests.health.test_health_app import keep, serve
from vavasms.errors import Outcome
from vavasms.guide import FILES, read_chapter, read_file
from vavasms.i18n import LANGUAGES
from vavasms.ledger.sqlite.memory import MemoryLedger
from vavasms.ledger.sqlite.totals import SqliteTotals
from vavasms.ledger.states import CampaignState
from vavasms.ledger.totals import LedgerTotals
from vavasms.sandbox import SandboxServer

Run = Callable[..., Finished]
#: What Prometheus itself says of each that it scrapes.
OF_PROMETHEUS = {"up"}
#: Functions, aggregations and words of its language that these expressions use.
WORDS = {"max", "min", "sum", "by", "delta", "rate", "time", "absent", "histogram_quantile", "and", "on"}


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(read_file("alerts.yml"))["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    for panel in json.loads(read_file("dashboard.json"))["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names: its words but for labels, texts, durations and functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)", "", expression)
    return set(re.findall(r"[a-z_]\w*", bare)) - WORDS


@pytest.fixture
async def served(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return what `/metrics` of a worker of a database serves: the labels of each name."""
    read = SqliteTotals.read

    async def read_as_a_database(self: SqliteTotals, *words: Any, **values: Any) -> LedgerTotals:
        return evolve(await read(self, *words, **values), workers=1)

    monkeypatch.setattr(SqliteTotals, "read", read_as_a_database)
    ledger = MemoryLedger()
    await keep(ledger, "1", "{}", segments=1)
    async with serve(sandbox, ledger) as health:
        await health.until(ready=True)
        await health.sms.send("+2250700000101", "Bonjour")
        scrape = await health.scrape()
    found: dict[str, set[str]] = {}
    for name, labels in scrape.samples:
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


@pytest.mark.anyio
async def test_each_metric_and_label_in_the_files_is_one_that_is_served(
    served: dict[str, set[str]],
) -> None:
    named = {name for expression in expressions() for name in names_in(expression)}
    assert len(named) > 15
    assert named - served.keys() <= OF_PROMETHEUS
    for expression in expressions():
        for name, labels in re.findall(r"(\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)[=!]~?=?\"", labels)) - {"job", "instance"}
            assert used <= served.get(name, set()), expression


@pytest.mark.anyio
@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_chapter_names_every_metric_that_is_served_and_no_other(
    served: dict[str, set[str]], language: str
) -> None:
    chapter = read_chapter("operations", language)
    named = set(re.findall(r"`(vavasms_\w+)`", chapter))
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in served if name.startswith("vavasms_")}
    assert named == {name for name in ours if not name.endswith(("_created", "_build_info"))}
    for name in re.findall(r"- alert: (\w+)", read_file("alerts.yml")):
        assert f"`{name}`" in chapter


def test_the_values_of_labels_are_words_that_exist() -> None:
    words = {outcome.value for outcome in Outcome} | {state.value for state in CampaignState}
    words |= {"vavasms", "send", "send_text", "send_.*", ""}
    for expression in expressions():
        assert set(re.findall(r"=~?\"([^\"]*)\"", expression)) <= words, expression
        assert expression.count("(") == expression.count(")")


def test_the_alerts_are_those_that_operators_need() -> None:
    (group,) = yaml.safe_load(read_file("alerts.yml"))["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    assert 'outcome="unknown"' in rules["VavaSMSUnknown"]["expr"]
    assert rules["VavaSMSUnknown"]["for"] == "10m"
    assert rules["VavaSMSBalanceLow"]["expr"].startswith("max(vavasms_balance_xof")
    assert rules["VavaSMSNoWorker"]["expr"] == 'absent(up{job="vavasms"} == 1)'
    missing = rules["VavaSMSMetricsMissing"]
    assert missing["expr"].startswith('absent(vavasms_recipients{job="vavasms"}) and')
    assert missing["for"] == "10m"
    for rule in rules.values():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"].endswith(".")


def test_the_dashboard_is_one_that_can_be_imported() -> None:
    board = json.loads(read_file("dashboard.json"))
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} == {"stat", "timeseries"}
    # Whoever imports it chooses the source of the data.
    assert board["templating"]["list"][0]["type"] == "datasource"
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len(read_file("dashboard.json").encode()) < 100_000


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_printed_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vavasms.cli import run

    monkeypatch.setenv("VAVASMS_LANG", "fr")
    assert run(["guide", name]) == 0
    assert capsys.readouterr().out == read_file(name)
    with pytest.raises(KeyError):
        read_file("../en/index.md")
