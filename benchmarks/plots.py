"""Draw the saved results, one picture for each part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from .parts import loop as loop_part
from .parts import scale as scale_part
from .samples import summary
from .tables import Cases, median, values

mpl.use("svg")
# The same numbers make the same file.
mpl.rcParams.update({"svg.hashsalt": "fapilog", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True})

from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen before

OURS, OTHERS = "#d1495b", "#6c8ead"


def colour(name: str) -> str:
    """Return the colour of a case: fapilog stands out."""
    return OURS if name.split("/", maxsplit=1)[0] == "fapilog" else OTHERS


def bars(found: Cases, key: str, label: str, title: str, chosen: Callable[[str], bool] = lambda name: True) -> Any:
    """Draw the median of a measure for each case as a bar, with the extremes of the rounds, on a logarithmic axis."""
    names = [name for name in found if chosen(name) and values(found, name, key)]
    spreads = [summary(values(found, name, key)) for name in names]
    figure, axes = plt.subplots(figsize=(8, 0.28 * len(names) + 1.1), layout="constrained")
    middles = [spread["median"] for spread in spreads]
    ends = [
        [spread["median"] - spread["low"] for spread in spreads],
        [spread["high"] - spread["median"] for spread in spreads],
    ]
    labels = [f"{found[name]['label'].replace('`', '')}, {name.split('/')[1]}" for name in names]
    axes.barh(labels, middles, xerr=ends, color=[colour(name) for name in names], ecolor="#333333", capsize=2)
    axes.set(xscale="log", xlabel=label, title=title)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return figure


def throughput(found: Cases) -> Any:
    """Draw the CPU time per event."""
    return bars(found, "cpu_us", "CPU µs per event; less is better", "From the log call to the last byte in the file")


def plugins(found: Cases) -> Any:
    """Draw the same with plugins."""
    return bars(found, "cpu_us", "CPU µs per event; less is better", "The same with a user's filter and enricher")


def call(found: Cases) -> Any:
    """Draw the 99th percentile of a call under load."""
    title = "One log call under load"
    return bars(
        found, "call_ns/p99", "ns, 99th percentile; less is better", title, lambda name: name.endswith("d/load")
    )


def loop(found: Cases) -> Any:
    """Draw how late a task is at the highest rate."""
    rate = str(loop_part.RATES[-1])
    title = f"How late a task is that sleeps 1 ms, while others log {loop_part.RATES[-1]:,} events/s"
    return bars(found, "late_us/p99", "µs, 99th percentile; less is better", title, lambda name: name.endswith(rate))


def server(found: Cases) -> Any:
    """Draw the CPU time per request with a reader that is fast."""
    title = "A request with five log events, standard output to a fast reader"
    label = "CPU µs per request; less is better"
    return bars(found, "cpu_us_per_request", label, title, lambda name: name.endswith("fast"))


def scale(found: Cases) -> Any:
    """Draw what an event costs as things grow."""
    growing = scale_part.GROWING
    figure, grid = plt.subplots(3, 3, figsize=(8, 6.6), layout="constrained")
    for axes, (what, steps) in zip(grid.flat, growing.items(), strict=True):
        for backend in scale_part.LOOPS:
            costs: Sequence[float | None] = [median(found, f"{what}/{backend}/{step}", "cpu_us") for step in steps]
            axes.plot(list(steps), costs, marker="o", label=backend)
        axes.set_title(what, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    grid[0][0].legend()
    figure.supylabel("CPU µs per event")
    return figure


PICTURES = {
    "throughput": throughput,
    "plugins": plugins,
    "call": call,
    "loop": loop,
    "server": server,
    "scale": scale,
}


def draw(saved: dict[str, dict[str, Any]], directory: Path) -> None:
    """Draw the picture of every part that has one."""
    for part, results in saved.items():
        if part in PICTURES:
            figure = PICTURES[part](results["cases"])
            figure.savefig(directory / f"{part}.svg", metadata={"Date": None})
            plt.close(figure)
