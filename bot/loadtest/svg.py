"""Charts and waveforms as inline SVG; no script, no font, nothing from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from bot.loadtest.sound import Samples

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 240, 52, 28
_COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7e22ce", "#a16207")
_WAVE_WIDTH, _LANE = 640, 44


def lines(title: str, xs: Sequence[float], series: Mapping[str, Sequence[float | None]], unit: str) -> str:
    """Draw series over load; a value that is None leaves a hole."""
    top = max((value for values in series.values() for value in values if value is not None), default=1.0) or 1.0
    right = max(xs, default=1.0) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + x / right * (_WIDTH - _LEFT - 10), _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _BOTTOM - 20)

    parts = [_grid(top, right, unit)]
    for colour, (name, values) in zip(_COLOURS, series.items(), strict=False):
        points = [at(x, y) for x, y in zip(xs, values, strict=True) if y is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        place = len(parts)
        if points:
            x, y = points[-1]
            parts.insert(place, f'<text x="{x - 6:.0f}" y="{y - 6:.0f}" text-anchor="end">{escape(name)}</text>')
    return _svg(title, _WIDTH, _HEIGHT, parts)


def steps(title: str, samples: Mapping[str, Sequence[float]], unit: str) -> str:
    """Draw the share of values up to x: the distribution, whole."""
    right = max((max(values) for values in samples.values() if values), default=1.0)
    parts = [_grid(100, right, "%", under=unit)]
    legend = itertools.count(_HEIGHT // 2, 11)
    for colour, (name, values) in zip(_COLOURS * 4, samples.items(), strict=False):
        if not values:
            continue
        ordered = np.sort(np.asarray(values))
        shares = np.linspace(0, 100, len(ordered) + 1)[1:]
        span = _HEIGHT - _BOTTOM - 20
        points = " ".join(
            f"{_LEFT + x / right * (_WIDTH - _LEFT - 10):.1f},{_HEIGHT - _BOTTOM - y / 100 * span:.1f}"
            for x, y in zip(ordered.tolist(), shares.tolist(), strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{_WIDTH - 12}" y="{next(legend)}" text-anchor="end" style="fill:{colour}">{escape(name)}</text>'
        )
    return _svg(title, _WIDTH, _HEIGHT, parts)


def waveform(title: str, caller: Samples, bot: Samples, marks: Mapping[str, float], length_s: float) -> str:
    """Draw two lanes, the caller's above the bot's, with marks at seconds."""
    parts = [_lane(caller, 0, "#a16207"), _lane(bot, _LANE, "#0b6e99")]
    for name, at_s in marks.items():
        x = at_s / length_s * _WAVE_WIDTH
        parts.append(f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{2 * _LANE}" stroke="#dc2626"/>')
        parts.append(f'<text x="{x + 3:.1f}" y="10">{escape(name)}</text>')
    return _svg(title, _WAVE_WIDTH, 2 * _LANE, parts)


def _lane(samples: Samples, top: int, colour: str) -> str:
    if not len(samples):
        return ""
    columns = _WAVE_WIDTH // 2
    peaks = [float(np.abs(part.astype(np.int32)).max(initial=0)) / 32768 for part in np.array_split(samples, columns)]
    middle = top + _LANE / 2
    path = "".join(
        f"M{2 * i},{middle - (h := max(0.5, min(1.0, 2 * peak) * _LANE / 2)):.1f}V{middle + h:.1f}"
        for i, peak in enumerate(peaks)
    )
    return f'<path d="{path}" stroke="{colour}" fill="none"/>'


def _grid(top: float, right: float, unit: str, under: str = "calls") -> str:
    parts: list[str] = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - 20)
        x = _LEFT + share * (_WIDTH - _LEFT - 10)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.0f}" x2="{_WIDTH - 10}" y2="{y:.0f}" stroke="#8884"/>')
        parts.append(f'<text x="{_LEFT - 4}" y="{y + 4:.0f}" text-anchor="end">{share * top:.4g}</text>')
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">{share * right:.4g}</text>')
    parts.append(f'<text x="4" y="12">{escape(unit)}</text>')
    parts.append(f'<text x="{_WIDTH - 10}" y="{_HEIGHT}" text-anchor="end">{escape(under)}</text>')
    return "".join(parts)


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    return f"<figure><figcaption>{escape(title)}</figcaption>{head}{''.join(parts)}</svg></figure>"
