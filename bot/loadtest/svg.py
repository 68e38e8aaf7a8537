"""Charts as inline SVG: figures over load, distributions, turns over time. No script, no font, nothing from elsewhere.

Colours are classes (`c0` to `c4` and others) that the page's style gives, for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 260, 46, 14, 12, 34
_TICKS = 5
_FAR = 4.0  # loads that lie so far apart are drawn by doublings

Value: TypeAlias = tuple[float, float, float]  # a figure and its interval


@dataclass(frozen=True, slots=True)
class Dot:
    """One event of a run."""

    at_s: float
    value: float
    kind: str
    title: str


def ticks(top: float) -> tuple[float, ...]:
    """Round numbers from 0 to the first at or over `top`: steps of 1, 2 or 5 times a power of ten."""
    rough = max(top, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough - 1e-12)
    return tuple(step * number for number in range(math.ceil(top / step - 1e-9) + 1))


def over_load(
    title: str,
    loads: Sequence[float],
    series: Mapping[str, Sequence[Value | None]],
    *,
    unit: str,
    bounds: Mapping[str, float] | None = None,
    least_top: float = 0.0,
) -> str:
    """Draw figures with their intervals over load; None leaves a hole. `bounds` are promises, by name."""
    values = [value for line in series.values() for value in line if value is not None]
    if not values:
        return ""
    marks = dict(bounds or {})
    largest = max(value for value, _, _ in values)
    marks = {name: bound for name, bound in marks.items() if bound <= 3 * largest}
    y = _Scale.to(max(largest, least_top, *(high for _, _, high in values), *marks.values()))
    place = _load_places(loads)
    parts = [y.grid(unit), *(_tick(place[load], f"{load:g}") for load in place), _under("calls")]
    for name, bound in marks.items():
        at = y.at(bound)
        parts.append(f'<line class="bound" x1="{_LEFT}" y1="{at:.1f}" x2="{_WIDTH - _RIGHT}" y2="{at:.1f}"/>')
        parts.append(f'<text class="bound" x="{_LEFT + 4}" y="{at - 4:.1f}">{escape(name)}</text>')
    for number, (name, line) in enumerate(series.items()):
        points = [(place[load], value) for load, value in zip(loads, line, strict=True) if value is not None]
        path = " ".join(f"{x:.1f},{y.at(value):.1f}" for x, (value, _, _) in points)
        parts.append(f'<polyline class="c{number}" points="{path}"/>')
        for x, (value, low, high) in points:
            if high > low:
                parts.append(f'<path class="c{number}" d="M{x:.1f},{y.at(low):.1f}V{y.at(high):.1f}"/>')
            shown = f"{name}: {value:.4g} {unit}" + (f" (95 %: {low:.4g} to {high:.4g})" if high > low else "")
            parts.append(_circle(x, y.at(value), f"c{number}", shown))
    return _figure(title, list(series), parts)


def shares(title: str, samples: Mapping[str, Sequence[float]], *, unit: str) -> str:
    """Draw the share of values up to x: the distribution, whole."""
    samples = {name: values for name, values in samples.items() if values}
    if not samples:
        return ""
    right = ticks(max(max(values) for values in samples.values()))
    y = _Scale.to(100)
    parts = [y.grid("%"), *(_tick(_across(x / right[-1]), f"{x:g}") for x in right), _under(unit)]
    for number, values in enumerate(samples.values()):
        ordered = np.sort(np.asarray(values, np.float64))
        steps = [f"M{_across(0):.1f},{y.at(0):.1f}"]
        for count, value in enumerate(ordered.tolist(), 1):
            steps.append(f"H{_across(value / right[-1]):.1f}V{y.at(100 * count / len(ordered)):.1f}")
        parts.append(f'<path class="c{number % 5}" d="{"".join(steps)}H{_across(1):.1f}"/>')
    return _figure(title, list(samples), parts)


def over_time(
    title: str, dots: Sequence[Dot], stages: Mapping[str, float], *, kinds: Sequence[str], unit: str, length_s: float
) -> str:
    """Draw events over a run; `stages` are the names and beginnings of its parts."""
    if not dots:
        return ""
    y = _Scale.to(max(dot.value for dot in dots))
    right = ticks(length_s)
    parts = [y.grid(unit), *(_tick(_across(x / right[-1]), f"{x:g}") for x in right), _under("s")]
    for name, at_s in stages.items():
        x = _across(at_s / right[-1])
        parts.append(f'<line class="edge" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text class="edge" x="{x + 3:.1f}" y="{_TOP + 9}">{escape(name)}</text>')
    parts += [
        _circle(_across(dot.at_s / right[-1]), y.at(dot.value), f"c{kinds.index(dot.kind)}", dot.title) for dot in dots
    ]
    return _figure(title, kinds, parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    marks: tuple[float, ...]

    @classmethod
    def to(cls, top: float) -> _Scale:
        return cls(ticks(top or 1.0))

    def at(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - min(1.0, value / self.marks[-1]) * (_HEIGHT - _BOTTOM - _TOP)

    def grid(self, unit: str) -> str:
        parts: list[str] = []
        for mark in self.marks:
            y = self.at(mark)
            parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:.4g}</text>')
        middle = (_HEIGHT - _BOTTOM) / 2
        turned = f'transform="rotate(-90 10 {middle:.0f})"'
        return "".join(parts) + f'<text x="10" y="{middle:.0f}" text-anchor="middle" {turned}>{escape(unit)}</text>'


def _load_places(loads: Sequence[float]) -> dict[float, float]:
    """Where each load stands on the x axis."""
    known = sorted(set(loads))
    if len(known) == 1:
        return {known[0]: _across(0.5)}
    if known[-1] >= _FAR * known[0] > 0:
        span = math.log(known[-1] / known[0])
        return {load: _across(0.04 + 0.92 * math.log(load / known[0]) / span) for load in known}
    return {load: _across(0.04 + 0.92 * (load - known[0]) / (known[-1] - known[0])) for load in known}


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _tick(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{text}</text>'


def _under(text: str) -> str:
    return f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(text)}</text>'


def _circle(x: float, y: float, name: str, title: str) -> str:
    return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(title)}</title></circle>'


def _figure(title: str, names: Sequence[str], parts: Sequence[str]) -> str:
    keys = "".join(f'<span class="k{number % 5}">{escape(name)}</span>' for number, name in enumerate(names))
    picture = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f"<figure><figcaption><b>{escape(title)}</b>{keys}</figcaption>{picture}</figure>"
