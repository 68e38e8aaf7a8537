"""The report in Chromium: it draws without an error, fits a telephone, and its sounds can be played."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.loadtest.html import html
from tests.e2e.chromium import chromium, executable
from tests.fakes.talking_bot import speech
from tests.unit.bot.loadtest.records import call, report, stage

pytestmark = pytest.mark.integration

# Channels, seconds and the loudest sample of each channel, as the browser decodes a player's sound.
_DECODE = """(async () => {
    const source = document.querySelector('audio').src;
    const bytes = await (await fetch(source)).arrayBuffer();
    const sound = await new OfflineAudioContext(2, 8000, 8000).decodeAudioData(bytes);
    const loudest = [0, 1].map(c => sound.getChannelData(c).reduce((a, b) => Math.max(a, Math.abs(b)), 0));
    return [sound.numberOfChannels, sound.duration, ...loudest];
})()"""


@pytest.mark.skipif(executable() is None, reason="no Chromium on this machine")
async def test_the_report_draws_fits_a_small_screen_and_plays_both_sides(tmp_path: Path) -> None:
    speech(60.0).tofile(tmp_path / "g0-00001.pcm")
    plan = {
        "target": "sip:bot@127.0.0.1", "shape": {"steps": [2, 4]},
        "scenarios": [{"name": "hours", "turns": [{"user": "İş saatlarınız necədir?"}]}],
    }  # fmt: skip
    made = report(
        stage([call([400, 900, None], gaps=[80])], promises={"latency_p95_ms": 500}),
        stage([call([700])], name="4 calls", load=4, promises={"latency_p95_ms": 500}),
    ).model_copy(update={"plan": plan})
    page_file = tmp_path / "report.html"
    page_file.write_text(html(made, tmp_path), encoding="utf-8")

    async with chromium(tmp_path) as browser, browser.page() as page:
        await page.open(page_file.as_uri())
        await page.resize(width=400, height=800, dark=True)
        width = await page.evaluate("document.documentElement.scrollWidth")
        text = await page.evaluate("document.body.innerText")
        channels, seconds, caller, bot = await page.evaluate(_DECODE)

    assert page.errors == []
    assert width <= 400
    assert "2 of the promises broken" in text
    assert (channels, seconds > 3) == (2, True)
    assert caller > 0.05
    assert bot > 0.05
