"""The results: a table in Markdown for readers, the same as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import list_versions
from benchmarks.model import Result

_HEAD = (
    "| figure | against | goal | median | min–max | pairs | short | details |\n"
    "|---|---|---|---|---|---|---|---|"
)


def collect(results: Sequence[Result], *, quick: bool, machine: dict[str, str]) -> dict[str, Any]:
    """Gather everything that the table, the plots and a later reader need."""
    rows = {result.row.name: _collect_row(result) for result in results}
    return {
        "form": "quick" if quick else "full",
        "machine": machine,
        "versions": list_versions(),
        "rows": rows,
    }


def _collect_row(result: Result) -> dict[str, Any]:
    row = result.row
    told = {"figure": row.figure, "against": row.against, "goal": row.goal, "better": row.better}
    if not result.samples:
        return told | {"unit": row.unit, "problem": result.problem}
    return told | {
        "unit": row.unit,
        "median": result.median,
        "values": result.values,
        "ours": [sample.ours for sample in result.samples],
        "theirs": [sample.theirs for sample in result.samples],
        "beside": result.beside(),
        "short": result.short,
        "note": result.samples[0].note,
    }


def write_table(collected: dict[str, Any]) -> str:
    """Write the table, with the machine and the versions under it."""
    lines = [_write_row(row) for row in collected["rows"].values()]
    return "\n".join([_HEAD, *lines, "", describe(collected)]) + "\n"


def describe(collected: dict[str, Any]) -> str:
    """Return on what the figures were taken, and how to read them."""
    machine = ", ".join(f"{name}: {value}" for name, value in collected["machine"].items())
    versions = ", ".join(f"{name} {number}" for name, number in collected["versions"].items())
    how = (
        "Ratios within one run: ours and the other measured one right after the other, pair by pair; "
        "the median of the pairs, and the least and the greatest."
    )
    tiny = "\n\n**Quick form: sizes are tiny and the figures mean nothing.**"
    warning = tiny if collected["form"] == "quick" else ""
    return f"{how}\n\nMachine: {machine}.\n\nVersions: {versions}.{warning}"


def _write_row(row: dict[str, Any]) -> str:
    unit = row["unit"]
    goal = f"{'≥' if row['better'] == 'more' else '≤'} {row['goal']:g}{unit}"
    start = f"| {row['figure']} | {row['against']} | {goal} |"
    if "problem" in row:
        return f"{start} not measured | | 0 | | {row['problem']} |"
    values, median = row["values"], _number(row["median"])
    spread = f"{_number(min(values))}–{_number(max(values))}"
    beside: list[str] = [f"{name} {_number(value)}" for name, value in row["beside"].items()]
    details: str = "; ".join([*beside, row["note"]])
    short = "**short**" if row["short"] else ""
    return f"{start} {median}{unit} | {spread} | {len(values)} | {short} | {details} |"


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def save(collected: dict[str, Any], folder: Path) -> None:
    """Write `results.md` and `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(write_table(collected), encoding="utf-8")
    text = json.dumps(collected, ensure_ascii=False, indent=1).replace("NaN", "null")
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
