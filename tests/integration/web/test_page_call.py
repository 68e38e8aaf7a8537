"""The page in Chromium calls our endpoint: sound, messages, keys, and every way a call ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from telephony.leg import DigitReceived, EndCause, LegEnded
from telephony.webrtc.leg import WebRtcLeg
from tests.e2e.chromium import Page, chromium
from tests.fakes.page_server import PageServer, say
from tests.fakes.webrtc import Ears, loudness, pitch, play, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE = "document.body.dataset.state"
A_MOMENT = "new Promise(done => setTimeout(done, 350))"  # a press that follows sooner is taken for a double click's
PITCH_AT_PAGE = """(async () => {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 16384;
    context.createMediaStreamSource(document.getElementById("speaker").srcObject).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    let loudest = 0;
    for (const until = performance.now() + 10000; performance.now() < until; ) {
        await new Promise(done => setTimeout(done, 50));
        analyser.getFloatFrequencyData(bins);
        loudest = bins.indexOf(Math.max(...bins));
        if (bins[loudest] > -40) break;
    }
    await context.close();
    return [loudest * context.sampleRate / analyser.fftSize, bins[loudest]];
})()"""


async def call(page: Page, server: PageServer) -> tuple[WebRtcLeg, Ears]:
    await page.click("#talk")
    leg = await server.call()
    await page.wait_for(f"{STATE} === 'listening'")
    return leg, Ears(leg)


async def test_sound_goes_both_ways_at_its_pitch(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    talking = asyncio.create_task(play(leg, tone(660, 2000)))
    heard = await ears.hear_loud(100)
    loud = [frame for frame in heard if loudness([frame]) > 1000]
    assert len(loud) > 30
    assert pitch(loud[:10]) == pytest.approx(440, abs=10)
    hertz, decibels = await page.evaluate(PITCH_AT_PAGE)
    assert hertz == pytest.approx(660, abs=6)
    assert decibels > -40
    stats = leg.stats()
    assert stats.received > 50
    assert stats.lost == 0
    await leg.hang_up()
    await talking
    await ears.end()
    assert page.errors == []


async def test_what_the_bot_tells_is_shown(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    say(leg, "call.started", call_id=leg.info.call_id, flow="clinic")
    say(leg, "turn.bot", turn_id="1", text="Salam, sizə necə kömək edə bilərəm?")
    say(leg, "turn.caller", turn_id="2", text="Həkimə yazılmaq istəyirəm.")
    say(leg, "turn.latency", turn_id="3", total_ms=812.4, stages={"endpoint": 220, "recognition": 400, "speech": 192})
    say(leg, "turn.bot", turn_id="3", text="Sabah saat on boşdur, uyğundurmu?")
    say(leg, "turn.bot.heard", turn_id="3", heard_s=1.0, duration_s=2.0)
    say(leg, "flow.state", state="ask_day")
    say(leg, "flow.slot", name="day", value="sabah")
    say(leg, "a.type.from.the.future", anything=1)
    leg.tell("no JSON at all")
    say(leg, "bot.speaking", on=True)
    await page.wait_for(f"{STATE} === 'speaking'")
    lanes = "[...document.querySelectorAll('#transcript li')].map(turn => turn.className)"
    assert await page.evaluate(lanes) == ["bot", "caller", "bot"]
    assert "Həkimə yazılmaq istəyirəm." in await page.text("#transcript .caller")
    assert await page.text("#transcript s") == "uyğundurmu?"
    assert "812 ms" in await page.text("#transcript")
    widths = "[...document.querySelectorAll('.bar span')].map(part => part.getBoundingClientRect().width)"
    endpoint, recognition, speech = await page.evaluate(widths)
    assert endpoint < recognition > speech > 0
    assert "gecikməsi: 812 ms. Sözün sonu 220 ms" in await page.evaluate("document.querySelector('.bar').ariaLabel")
    assert "ask_day" in await page.text("#progress")
    assert "sabah" in await page.text("#progress")
    assert await page.text("#status") == "Köməkçi danışır"
    assert "812 ms" in await page.text("#latency-summary")
    say(leg, "caller.speaking", on=True)
    await page.wait_for(f"{STATE} === 'listening'")
    await leg.hang_up()
    await ears.end()
    assert page.errors == []


async def test_a_turn_told_again_replaces_its_words(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    say(leg, "turn.caller", turn_id="1", text="Sabah")
    say(leg, "turn.caller", turn_id="1", text="Sabah saat onda")
    await page.wait_for("document.querySelector('#transcript li')?.innerText.includes('onda')")
    assert await page.evaluate("document.querySelectorAll('#transcript li').length") == 1
    await leg.hang_up()
    await ears.end()


async def test_keys_of_the_mouse_and_of_the_keyboard_reach_the_bot(page: Page, server: PageServer) -> None:
    await page.press("9")  # before the call: for nobody
    leg, ears = await call(page, server)
    await page.wait_for("!document.querySelector('[data-key=\"5\"]').disabled")
    await page.click("#keypad-toggle")
    await page.click('[data-key="5"]')
    await page.press("7")
    await page.press("x")
    await page.click('[data-key="#"]')

    def digits() -> list[DigitReceived]:  # a busy machine may drop frames in between, which is told too
        return [event for event in ears.others if isinstance(event, DigitReceived)]

    await ears.until(lambda: len(digits()) == 3)
    assert digits() == [DigitReceived("5", 100), DigitReceived("7", 100), DigitReceived("#", 100)]
    await leg.hang_up()
    await ears.end()


async def test_a_muted_microphone_sends_silence(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    await ears.hear_loud(1)
    await page.click("#mute")
    assert await page.evaluate("document.getElementById('mute').ariaPressed") == "true"
    await ears.hear(25)
    assert loudness(await ears.hear(60)) < 50
    await page.click("#mute")
    await ears.hear_loud(1)
    await leg.hang_up()
    await ears.end()


async def test_a_caller_who_hangs_up_sees_it_and_the_bot_does_too(page: Page, server: PageServer) -> None:
    _, ears = await call(page, server)
    await page.evaluate(A_MOMENT)
    await page.click("#talk")
    assert (await ears.end()) == LegEnded(EndCause.CALLER_HUNG_UP)
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.text("#status") == "Siz zəngi bitirdiniz."
    assert await page.text("#talk") == "Yenidən zəng et"
    assert page.errors == []


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("bot_hung_up", "Köməkçi zəngi bitirdi."),
        ("transferred", "Zəng operatora yönləndirildi."),
        (None, "Zəng bitdi."),
    ],
)
async def test_a_bot_that_hangs_up_is_shown_with_its_cause(
    page: Page, server: PageServer, cause: str | None, words: str
) -> None:
    leg, ears = await call(page, server)
    if cause is not None:
        say(leg, "call.ended", cause=cause)
    await leg.hang_up()
    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.text("#status") == words


async def test_after_a_call_comes_another(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    say(leg, "turn.bot", turn_id="1", text="Salam")
    await leg.hang_up()
    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")
    await page.evaluate(A_MOMENT)
    leg, ears = await call(page, server)
    assert await page.evaluate("document.querySelectorAll('#transcript li').length") == 0
    await ears.hear_loud(10)
    await leg.hang_up()
    await ears.end()
    assert page.errors == []


async def test_a_page_that_is_left_hangs_up(page: Page, server: PageServer) -> None:
    _, ears = await call(page, server)
    await page.open("about:blank")
    assert (await ears.end()) == LegEnded(EndCause.CALLER_HUNG_UP)


async def test_a_call_given_up_while_connecting_is_no_call(page: Page, server: PageServer) -> None:
    server.endpoint._on_call = lambda leg: None  # a bot that takes its time
    await page.click("#talk")
    await page.wait_for(f"{STATE} === 'connecting'")
    await page.evaluate(A_MOMENT)
    await page.click("#talk")
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.evaluate("document.getElementById('error').hidden")


# --- what can go wrong, in words ------------------------------------------------------------------------------------


async def error_after_a_call(page: Page) -> str:
    await page.click("#talk")
    await page.wait_for("!document.getElementById('error').hidden")
    assert await page.evaluate(STATE) == "ended"
    return await page.text("#error")


async def test_a_full_server_says_when_to_call_again(page: Page, server: PageServer) -> None:
    server.endpoint._max_legs = 0
    assert await error_after_a_call(page) == "Hazırda bütün xətlər məşğuldur. 5 saniyədən sonra yenidən zəng edin."
    assert await page.text("#status") == "Zəng alınmadı."
    await page.click("[data-language=en]")
    assert await page.text("#error") == "All lines are busy. Call again in 5 seconds."


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "Server cavab vermir. Bir azdan yenidən zəng edin."), (403, "Server zəngi qəbul etmədi (kod 403).")],
)
async def test_a_server_that_fails_is_told(page: Page, server: PageServer, status: int, words: str) -> None:
    server.status = status
    assert await error_after_a_call(page) == words


async def test_a_server_that_is_away_is_told(page: Page, server: PageServer) -> None:
    await page.command("Network.enable")
    await page.command("Network.setBlockedURLs", urls=["*/api/offer"])
    assert (await error_after_a_call(page)).startswith("Server cavab vermir.")


async def test_a_microphone_that_is_not_allowed_is_told(tmp_path: Path, server: PageServer) -> None:
    async with chromium(tmp_path, allow_microphone=False) as browser, browser.page() as page:
        await page.open(server.url)
        assert (await error_after_a_call(page)).startswith("Mikrofona icazə verilməyib.")
        assert page.errors == []


async def test_a_machine_without_a_microphone_is_told(page: Page) -> None:
    await page.evaluate("""navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("none", "NotFoundError");
    }""")
    assert await error_after_a_call(page) == "Mikrofon tapılmadı. Mikrofonu qoşun və yenidən zəng edin."


def fall_silent(leg: WebRtcLeg) -> None:
    """As a cable that is pulled: nothing in, nothing out."""
    session = leg._session
    session._media.clock.remove(session)
    for protocol in session._peer._connection._protocols:
        protocol.datagram_received = lambda data, addr: None


async def test_a_connection_that_breaks_is_told_as_weak(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    fall_silent(leg)
    await page.wait_for("document.body.classList.contains('unstable')")
    assert await page.text("#status") == "Bağlantı zəifdir, bərpa olunur…"
    assert await page.evaluate("document.getElementById('status').ariaLive") == "polite"  # read out, as a failure is
    await leg.hang_up()
    await ears.end()
