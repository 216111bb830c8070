"""The plots: ratios only, like the table, with the spread as whiskers and the machine underneath."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")

OURS, THEIRS, SHORT = "#1f6f8b", "#b8b8b8", "#c8553d"

Bar = tuple[str, Sequence[float], str]


def draw_all(collected: dict[str, Any], folder: Path) -> None:
    """Draw every plot that the measured rows allow."""
    rows = {name: row for name, row in collected["rows"].items() if "values" in row}
    foot = _foot(collected)
    if {"throughput-httpx", "throughput-aiohttp"} <= rows.keys():
        _draw(folder / "throughput.png", foot, lambda axes: _throughput(axes, rows))
    if any(name.startswith("bulk-") for name in rows):
        _draw(folder / "recipients.png", foot, lambda axes: _recipients(axes, rows))
    if rows:
        _draw(folder / "goals.png", foot, lambda axes: _goals(axes, rows), height=1.2 + 0.33 * len(rows))


def _throughput(axes: Axes, rows: dict[str, Any]) -> None:
    ceiling = 64 / 0.05
    httpx, bare = (rows[f"throughput-{name}"] for name in ("httpx", "aiohttp"))
    bars: list[Bar] = [
        ("httpx by hand,\none pool", httpx["theirs"], THEIRS),
        ("vavasms", [*httpx["ours"], *bare["ours"]], OURS),
        ("bare aiohttp\nby hand", bare["theirs"], THEIRS),
    ]
    _bars(axes, [(name, [rate / ceiling for rate in rates], colour) for name, rates, colour in bars])
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("requests/s as a share of the ceiling (connections / latency)")
    axes.set_title("64 connections, gateway 50 ms, 100 recipients a request", fontsize=10)


def _recipients(axes: Axes, rows: dict[str, Any]) -> None:
    peers = {name: row for name, row in rows.items() if name.startswith("bulk-")}
    bars: list[Bar] = [(name.removeprefix("bulk-"), row["values"], OURS) for name, row in peers.items()]
    _bars(axes, bars)
    axes.set_xscale("log")
    axes.set_xlim(left=0.8)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("recipients/s of vavasms, in multiples of each (log)")
    axes.set_title("Bulk send of 1,000,000; the others as documented, fewer recipients", fontsize=10)


def _goals(axes: Axes, rows: dict[str, Any]) -> None:
    bars: list[Bar] = [
        (name, [_share(row, value) for value in row["values"]], SHORT if row["short"] else OURS)
        for name, row in rows.items()
    ]
    _bars(axes, bars)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("how far beyond its goal each row is (log; 1 is the goal, left of it falls short)")


def _share(row: dict[str, Any], value: float) -> float:
    # A figure that is to be small may come out at zero or below, such as a growth: the axis is logarithmic.
    goal: float = row["goal"]
    return value / goal if row["better"] == "more" else goal / max(value, goal / 1000)


def _bars(axes: Axes, bars: Sequence[Bar]) -> None:
    for place, (_, values, colour) in enumerate(bars):
        middle = statistics.median(values)
        whiskers = [[middle - min(values)], [max(values) - middle]]
        axes.barh(place, middle, color=colour, xerr=whiskers, ecolor="black", capsize=2, height=0.65)
        axes.annotate(
            f"{middle:.3g}" if middle < 10 else f"{middle:,.0f}",
            (max(values), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _foot(collected: dict[str, Any]) -> str:
    machine = ", ".join(collected["machine"][key] for key in ("processor", "system", "python"))
    versions = ", ".join(f"{name} {number}" for name, number in collected["versions"].items())
    pairs = sorted({len(row["values"]) for row in collected["rows"].values() if "values" in row})
    counted = "–".join(str(number) for number in dict.fromkeys((pairs[0], pairs[-1]))) if pairs else "0"
    text = f"{machine}. Medians of {counted} pairs a row, whiskers from least to greatest. {versions}."
    return textwrap.fill(text, 130)


def _draw(path: Path, foot: str, paint: Callable[[Axes], None], height: float = 2.4) -> None:
    lines = foot.count("\n") + 1
    figure = Figure(figsize=(7.6, height + 0.14 * lines), dpi=110, layout="constrained")
    paint(figure.subplots())
    figure.supxlabel(foot, fontsize=6, x=0.01, ha="left", color="#555555")
    figure.savefig(path, metadata={"Software": None})
