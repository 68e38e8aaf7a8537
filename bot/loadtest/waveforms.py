"""A stretch of a call to look at and to listen to: two lanes as SVG, and both sides as a WAV within the page."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from bot.loadtest.clips import Clip
from bot.loadtest.sound import Samples
from telephony.audio.frame import samples_of
from telephony.audio.g711 import MU_LAW
from telephony.audio.g711 import RATE_HZ as G711_HZ
from telephony.audio.resample import Resampler
from telephony.leg import OUTPUT_RATE_HZ

_WIDTH, _LANE, _AXIS, _LEFT = 1120, 46, 16, 44
_COLUMNS = (_WIDTH - _LEFT) // 2
_MU_LAW_FORMAT = 7  # RFC 2361


def clip_sound(clip: Clip) -> tuple[Samples, float]:
    """Give what a caller said at 8 kHz, and where its voice ends in it, in seconds."""
    sound = Resampler(OUTPUT_RATE_HZ, G711_HZ).feed(samples_of(b"".join(clip.frames)))
    return sound, clip.end_ms / 1000


def lay(sounds: Sequence[tuple[Samples, float]], length_s: float) -> Samples:
    """Lay sounds of 8 kHz into a stretch, each so that it begins at its second; what juts out is cut."""
    lane = np.zeros(round(length_s * G711_HZ), np.int16)
    for sound, begin_s in sounds:
        begin = round(begin_s * G711_HZ)
        part = sound[max(0, -begin) : max(0, len(lane) - begin)]
        lane[max(0, begin) : max(0, begin) + len(part)] = part
    return lane


def picture(
    title: str,
    caller: Samples,
    bot: Samples,
    *,
    length_s: float,
    wait: tuple[float, float] | None,
    gaps: Sequence[tuple[float, float]] = (),
    marks: Mapping[str, float] | None = None,
) -> str:
    """Draw the caller's lane above the bot's: the wait between them, gaps (from, to), marks at seconds."""

    def x(at_s: float) -> float:
        return _LEFT + min(1.0, max(0.0, at_s / length_s)) * (_WIDTH - _LEFT)

    parts = [f'<text x="0" y="{_LANE * 0.6:.0f}">caller</text><text x="0" y="{_LANE * 1.6:.0f}">bot</text>']
    if wait is not None:
        begin, end = x(wait[0]), x(wait[1])
        parts.append(f'<rect class="wait" x="{begin:.1f}" y="0" width="{end - begin:.1f}" height="{2 * _LANE}"/>')
        text = f"{1000 * (wait[1] - wait[0]):.0f} ms"
        parts.append(f'<text class="wait" x="{(begin + end) / 2:.1f}" y="11" text-anchor="middle">{text}</text>')
    for begin_s, end_s in gaps:
        width = max(2.0, x(end_s) - x(begin_s))
        parts.append(
            f'<rect class="gap" x="{x(begin_s):.1f}" y="{_LANE}" width="{width:.1f}" height="{_LANE}">'
            f"<title>gap of {1000 * (end_s - begin_s):.0f} ms</title></rect>"
        )
    parts += [_lane(caller, 0, "caller"), _lane(bot, _LANE, "bot")]
    for name, at_s in (marks or {}).items():
        parts.append(f'<line class="mark" x1="{x(at_s):.1f}" y1="0" x2="{x(at_s):.1f}" y2="{2 * _LANE}"/>')
        parts.append(f'<text class="mark" x="{x(at_s) + 3:.1f}" y="{2 * _LANE - 3}">{escape(name)}</text>')
    for second in range(int(length_s) + 1):
        parts.append(f'<text x="{x(second):.1f}" y="{2 * _LANE + 12}" text-anchor="middle">{second} s</text>')
    head = f'<svg class="wave" viewBox="0 0 {_WIDTH} {2 * _LANE + _AXIS}" role="img" aria-label="{escape(title)}">'
    return head + "".join(parts) + "</svg>"


def _lane(samples: Samples, top: int, name: str) -> str:
    peaks = [float(np.abs(part.astype(np.int32)).max(initial=0)) / 32768 for part in np.array_split(samples, _COLUMNS)]
    middle = top + _LANE / 2
    path = "".join(
        f"M{_LEFT + 2 * i},{middle - (h := max(0.5, min(1.0, 2 * peak) * _LANE / 2)):.1f}V{middle + h:.1f}"
        for i, peak in enumerate(peaks)
    )
    return f'<path class="{name}" d="{path}"/>'


def audio(caller: Samples, bot: Samples) -> str:
    """Both sides as a player: the caller left, the bot right; mu-law, as a telephone has it (a byte a sample)."""
    both = np.column_stack((caller, bot[: len(caller)])).astype(np.int16).reshape(-1)
    data = MU_LAW.encode(np.ascontiguousarray(both))
    form = struct.pack("<HHIIHHH", _MU_LAW_FORMAT, 2, G711_HZ, 2 * G711_HZ, 2, 8, 0)
    fact = struct.pack("<I", len(caller))
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in ((b"fmt ", form), (b"fact", fact), (b"data", data))
    )
    whole = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    source = "data:audio/wav;base64," + base64.b64encode(whole).decode()
    return f'<audio controls preload="none" src="{source}"></audio>'
