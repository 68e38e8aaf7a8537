from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from bot.loadtest.html import html
from tests.fakes.talking_bot import speech
from tests.unit.bot.loadtest.records import WELL, call, report, stage


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
    assert page.index("1. 900 ms") < page.index("2. 400 ms")
    assert "data:audio/wav;base64,UklGR" in page


def test_the_verdict_comes_first_and_promises_are_shown_by_load(tmp_path: Path) -> None:
    promises = {"latency_p95_ms": 500.0, "mos_p5": 4.0}
    stages = (stage([call([400])], promises=promises), stage([call([900])], name="4 calls", load=4, promises=promises))

    page = html(report(*stages), tmp_path)

    assert page.index("1 of the promises broken") < page.index("<h2>Promises")
    assert page.count("✗") == 1
    assert "latency_p95_ms ≤ 500" in page
    assert "mos_p5 ≥ 4" in page
    assert "Every promise held" in html(report(stages[0]), tmp_path)


def test_an_invalid_run_has_no_other_verdict(tmp_path: Path) -> None:
    page = html(report(stage([call([400])], health=replace(WELL, udp_drops=3))), tmp_path)

    assert "INVALID: do not believe" in page
    assert "Every promise held" not in page


def test_a_search_tells_its_knee_and_shows_its_figures(tmp_path: Path) -> None:
    page = html(report(stage([call([400])]), stage([call([900])], name="4 calls", load=4), knee=2), tmp_path)

    assert "Knee: 2 calls." in page
    assert page.index("At 2 calls") < page.index("400 ms")


def test_names_from_a_plan_are_escaped(tmp_path: Path) -> None:
    page = html(report(stage([call([400])], name="<b>load</b>")), tmp_path)

    assert "<b>load" not in page


def test_a_run_that_was_ended_before_its_first_stage_has_a_page_too(tmp_path: Path) -> None:
    page = html(report(), tmp_path)

    assert "<h2>Promises" not in page
    assert "<svg" not in page
