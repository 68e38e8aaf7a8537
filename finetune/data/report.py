"""A page about the corpus: how much, how it is spread, and each rejected clip with its reason, to be listened to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from finetune.data.clip import Rejection
from finetune.data.manifest import Entry
from finetune.data.reasons import REMEDIES
from finetune.page import histogram, page, player, table

_ON_A_PAGE = 2000


def write_report(folder: Path, entries: Sequence[Entry], rejections: Sequence[Rejection]) -> None:
    """Write `report.html` into the prepared folder; with many rejected clips also `report-2.html` and so on."""
    for stale in folder.glob("report-*.html"):
        stale.unlink()
    pages = [rejections[at : at + _ON_A_PAGE] for at in range(0, len(rejections), _ON_A_PAGE)] or [rejections]
    links = "".join(f' <a href="{_page(number)}">{number}</a>' for number in range(1, len(pages) + 1))
    links = f"<p>Rejected clips, page{links}</p>" if len(pages) > 1 else ""
    for number, shown in enumerate(pages, 1):
        if number == 1:
            parts = (_sums(entries, rejections), _spread(entries), _voices(entries), _reasons(rejections))
            html = page("Corpus", *parts, links, _rejected(folder, shown), links)
        else:
            html = page("Corpus: rejected clips", links, _rejected(folder, shown), links)
        (folder / _page(number)).write_text(html, encoding="utf-8")


def _page(number: int) -> str:
    return "report.html" if number == 1 else f"report-{number}.html"


def _sums(entries: Sequence[Entry], rejections: Sequence[Rejection]) -> str:
    rows: list[list[str]] = []
    for split in ("train", "validation"):
        own = [entry for entry in entries if entry.split == split]
        minutes = sum(entry.clip.seconds for entry in own) / 60
        rows.append([split, f"{len(own)}", f"{minutes:.1f}", f"{len({e.clip.speaker for e in own})}"])
    rows.append(["rejected", f"{len(rejections)}", "", ""])
    return table(["", "clips", "minutes", "speakers"], rows)


def _spread(entries: Sequence[Entry]) -> str:
    clips = [entry.clip for entry in entries]
    return "<h2>Clips</h2>" + "".join(
        (
            histogram("Length", [clip.seconds for clip in clips], unit="s"),
            histogram("Rate of speech", [clip.letters_per_s for clip in clips], unit="letters/s"),
            histogram("Silence cut off", [clip.cut_s for clip in clips], unit="s"),
            histogram("Speech over noise", [clip.snr_db for clip in clips if clip.snr_db is not None], unit="dB"),
            histogram("DNSMOS", [clip.mos for clip in clips if clip.mos is not None], unit=""),
            histogram("Heard otherwise", [c.error_rate for c in clips if c.error_rate is not None], unit="of letters"),
            histogram("Bandwidth", [clip.bandwidth_hz / 1000 for clip in clips], unit="kHz"),
        )
    )


def _voices(entries: Sequence[Entry]) -> str:
    minutes: Counter[tuple[int, str]] = Counter()
    for entry in entries:
        minutes[entry.voice, entry.clip.speaker] += round(entry.clip.seconds)
    rows = [[f"[{voice}]", escape(name), f"{s / 60:.1f}"] for (voice, name), s in sorted(minutes.items())]
    return "<h2>Voices</h2>" + table(["in the prompt", "speaker", "minutes"], rows)


def _reasons(rejections: Sequence[Rejection]) -> str:
    counts = Counter(rejection.reason for rejection in rejections)
    sums = table(
        ["reason", "clips", "what to do"],
        [[str(reason), f"{count}", escape(REMEDIES[reason])] for reason, count in counts.most_common()],
    )
    return "<h2>Rejected</h2>" + sums


def _rejected(folder: Path, rejections: Sequence[Rejection]) -> str:
    rows = [[escape(r.id), str(r.reason), escape(r.detail), _player(folder, r)] for r in rejections]
    return table(["clip", "reason", "detail", ""], rows)


def _player(folder: Path, rejection: Rejection) -> str:
    if rejection.sound is None or not (folder / rejection.sound).is_file():
        return ""
    # as the browser finds it from the page; `folder / absolute` is the absolute path
    return player(os.path.relpath(folder / rejection.sound, folder))
