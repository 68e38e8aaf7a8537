"""Small pieces of HTML that the reports share: one file, no script from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .6rem;border-bottom:1px solid #8884;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}audio{height:2rem}svg{background:#8881;margin:.5rem 1rem 0 0}
.bad{color:#b00020;font-weight:600}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"""


def page(title: str, *parts: str) -> str:
    """Make a whole page of parts that are HTML already."""
    head = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f"{head}<h1>{escape(title)}</h1>{''.join(parts)}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table; cells are HTML already, numbers stand on the right."""
    top = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f"<table><tr>{top}</tr>{''.join(_row(row) for row in rows)}</table>"


def player(file: str) -> str:
    """Make a player of a file; nothing is loaded before it is asked for."""
    return f'<audio controls preload="none" src="{quote(file)}"></audio>'


def histogram(title: str, values: Sequence[float], *, unit: str, bins: int = 30) -> str:
    """Draw how values are spread between the least and the greatest."""
    if not values:
        return f"<p>{escape(title)}: none</p>"
    low, high = min(values), max(values)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    tallest = max(counts)
    bars = "".join(
        f'<rect x="{10 * n}" y="{80 - 76 * count / tallest:.1f}" width="9" height="{76 * count / tallest:.1f}"'
        f' fill="#3b7dd8"><title>{low + n * width:.2f} to {low + (n + 1) * width:.2f} {escape(unit)}: {count}</title>'
        "</rect>"
        for n, count in enumerate(counts)
    )
    middle = sorted(values)[len(values) // 2]
    axis = f"{low:.2f} to {high:.2f} {escape(unit)}, median {middle:.2f}"
    return (
        f"<figure><figcaption>{escape(title)}: {axis}</figcaption>"
        f'<svg width="{10 * bins}" height="84" role="img">{bars}</svg></figure>'
    )


def bars(title: str, series: Sequence[tuple[str, Sequence[float]]], *, unit: str) -> str:
    """Draw one bar for each value, those of several series side by side."""
    tallest = max((value for _, values in series for value in values), default=0.0) or 1.0
    colours, width = ("#3b7dd8", "#d8853b"), 12 * len(series) + 4
    drawn: list[str] = []
    for place, (name, values) in enumerate(series):
        for number, value in enumerate(values):
            height, said = 96 * value / tallest, f"{name} {number}: {value:.2f} {unit}"
            drawn.append(
                f'<rect x="{width * number + 12 * place}" y="{100 - height:.1f}" width="11" height="{height:.1f}"'
                f' fill="{colours[place % 2]}"><title>{escape(said)}</title></rect>'
            )
    count = max((len(values) for _, values in series), default=0)
    return (
        f"<figure><figcaption>{escape(title)}, up to {tallest:.1f} {escape(unit)}</figcaption>"
        f'<svg width="{width * count}" height="104" role="img">{"".join(drawn)}</svg></figure>'
    )


def scatter(title: str, points: Sequence[tuple[float, float]], *, unit: str) -> str:
    """Draw points over a square whose diagonal is equality."""
    if not points:
        return f"<p>{escape(title)}: none</p>"
    top = max(max(x, y) for x, y in points) or 1.0
    dots = "".join(
        f'<circle cx="{200 * x / top:.1f}" cy="{200 - 200 * y / top:.1f}" r="3" fill="#3b7dd8">'
        f"<title>{x:.2f}, {y:.2f} {escape(unit)}</title></circle>"
        for x, y in points
    )
    return (
        f"<figure><figcaption>{escape(title)}, up to {top:.1f} {escape(unit)}</figcaption>"
        f'<svg width="204" height="204" role="img"><path d="M0 200L200 0" stroke="#8888"/>{dots}</svg></figure>'
    )


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td{_number(cell)}>{cell}</td>" for cell in cells) + "</tr>"


def _number(cell: str) -> str:
    return ' class="n"' if cell.removeprefix("-").replace(".", "", 1).isdecimal() else ""
