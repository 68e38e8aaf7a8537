from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from bot.loadtest.html import html, worst_turns
from tests.fakes.talking_bot import speech
from tests.unit.bot.loadtest.records import call, report, stage


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = html(report(stage([call([400, 900])]), knee=2), tmp_path)

    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page.replace("http://www.w3.org", "")


def test_every_picture_is_well_formed(tmp_path: Path) -> None:
    speech(12.0).tofile(tmp_path / "g0-00001.pcm")
    page = html(report(stage([call([400, None], gaps=[80])]), stage([call([700])], name="4 calls", load=4)), tmp_path)

    pictures = re.findall(r"<svg.*?</svg>", page)
    assert len(pictures) > 6
    for picture in pictures:
        ElementTree.fromstring(picture)


def test_the_worst_turns_can_be_heard_where_their_recording_is_kept(tmp_path: Path) -> None:
    speech(60.0).tofile(tmp_path / "g0-00001.pcm")

    page = html(report(stage([call([400, 900])])), tmp_path)

    assert page.count("<audio") == 2
    assert page.index("900 ms") < page.index("400 ms</figcaption>")
    assert "data:audio/wav;base64,UklGR" in page


def test_missed_turns_are_worse_than_slow_ones_and_gaps_count() -> None:
    found = worst_turns([stage([call([5000, None, 300]), call([310], name="g0-2", gaps=[400])])], 3)

    assert [one.turn.latency_ms for one in found] == [None, 5000, 310]


def test_names_from_a_plan_are_escaped(tmp_path: Path) -> None:
    page = html(report(stage([call([400])], name="<b>load</b>")), tmp_path)

    assert "<b>load" not in page
