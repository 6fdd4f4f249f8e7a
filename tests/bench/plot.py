"""The report as a picture: for each part, what a further million rows costs in CPU, and the memory of all processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("Agg")
FILE = "bench.png"
_OURS, _OTHERS = "#1f6f8b", "#b0b0b0"


def draw(report: dict[str, Any], place: Path) -> Path:
    """Writes the picture beside the report."""
    parts = [(name, part) for name, part in report.items() if len(part["contenders"]) > 1]
    figure = Figure(figsize=(13, 1 + 3.2 * max(1, len(parts))), layout="constrained")
    for row, (name, part) in enumerate(parts):
        lines = [line for line in part["contenders"].values() if "sizes" in line][::-1]
        labels = [line["label"].replace("`", "") for line in lines]
        colours = [_OURS if line["label"].startswith("rover_spark") else _OTHERS for line in lines]
        largest = [max(line["sizes"].items(), key=lambda each: int(each[0]))[1] for line in lines]
        costs = [line["per_million"]["cpu"] or 0 for line in lines]
        memory = [found["together"] / 1e6 for found in largest]
        for column, (values, title) in enumerate(
            ((costs, f"{name}: CPU seconds per further million rows"), (memory, "most memory of all processes, MB"))
        ):  # fmt: skip
            axes = figure.add_subplot(len(parts), 2, 2 * row + column + 1)
            axes.bar_label(axes.barh(labels, values, color=colours), fmt="%.3g", padding=3)
            axes.set_title(title, loc="left", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(axis="y", labelleft=column == 0)
            axes.margins(x=0.12)
    figure.savefig(place / FILE, dpi=110)
    return place / FILE
