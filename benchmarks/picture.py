"""Draws how each cost grows: small plots on logarithmic scales, as one SVG.

    python benchmarks/picture.py POINTS FILE

POINTS is what the benchmarks gathered (``BENCHMARK_POINTS``): one JSON line a point, with its plot,
its series, x and y. Of several points at one x the middle one counts.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 150, 52, 30, 46
COLUMNS = 3
COLOURS = {"clawd": "#0969da", "openai loop": "#bf8700", "openai": "#bf8700"}
OTHER = "#8c959f"
AXES = {
    "a turn by its history": ("messages of history", "ms of CPU", 1e3),
    "turns a second": ("sessions at once", "turns a second", 1.0),
    "messages a second": ("senders at once", "messages a second", 1.0),
    "lines a second": ("writers at once", "lines a second", 1.0),
    "megabytes by idle sessions": ("idle sessions", "MB", 1.0),
    "megabytes by held messages": ("held messages", "MB", 1.0),
}
Series = dict[str, dict[float, list[float]]]


def read(path: Path) -> dict[str, Series]:
    """The points by plot, series and x."""
    plots: dict[str, Series] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        plot, series, x, y = json.loads(line)
        plots.setdefault(plot, {}).setdefault(series, {}).setdefault(x, []).append(y)
    return plots


def plot(title: str, series: Series, left: float, top: float) -> list[str]:
    """One plot: its frame, its ends in numbers, a line for each series."""
    across, up, scale = AXES[title]
    lines = {
        name: sorted((x, statistics.median(ys) * scale) for x, ys in points.items())
        for name, points in series.items()
    }
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), min(ys), max(ys)

    def place(x: float, y: float) -> str:
        wide = math.log(x / low_x) / (math.log(high_x / low_x) or 1)
        high = math.log(y / low_y) / (math.log(high_y / low_y) or 1)
        return f"{left + wide * WIDTH:.1f},{top + (1 - high) * HEIGHT:.1f}"

    bottom = top + HEIGHT
    drawn = [
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" class="frame"/>',
        f'<text x="{left}" y="{top - 10}" class="title">{up}, by {across}</text>',
        f'<text x="{left}" y="{bottom + 14}">{_short(low_x)}</text>',
        f'<text x="{left + WIDTH}" y="{bottom + 14}" class="end">{_short(high_x)}</text>',
        f'<text x="{left - 4}" y="{bottom}" class="end">{_short(low_y)}</text>',
        f'<text x="{left - 4}" y="{top + 10}" class="end">{_short(high_y)}</text>',
    ]
    for number, (name, points) in enumerate(sorted(lines.items())):
        colour = COLOURS.get(name, OTHER)
        path = " ".join(place(x, y) for x, y in points)
        drawn.append(f'<polyline points="{path}" stroke="{colour}"/>')
        drawn += [
            f'<circle cx="{at[0]}" cy="{at[1]}" r="2.5" fill="{colour}"/>'
            for at in (place(x, y).split(",") for x, y in points)
        ]
        label = {"bare": "bare group commit", "openai": "openai loop"}.get(name, name)
        drawn.append(
            f'<text x="{left + 8}" y="{top + 16 + 13 * number}" fill="{colour}">{label}</text>'
        )
    return drawn


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(plots: dict[str, Series]) -> str:
    """The whole picture."""
    shown = [title for title in AXES if title in plots]
    rows = -(-len(shown) // COLUMNS)
    width = COLUMNS * (LEFT + WIDTH) + 20
    height = rows * (TOP + HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#57606a">',
        "<style>.frame{fill:none;stroke:#d0d7de}.title{font-weight:bold}.end{text-anchor:end}"
        "polyline{fill:none;stroke-width:1.8}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, title in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        left, top = LEFT + column * (LEFT + WIDTH), TOP + row * (TOP + HEIGHT + GAP)
        parts += plot(title, plots[title], left, top)
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Draw."""
    points, file = map(Path, sys.argv[1:3])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(draw(read(points)), encoding="utf-8")


if __name__ == "__main__":
    main()
