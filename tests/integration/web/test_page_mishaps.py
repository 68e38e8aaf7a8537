"""What happens to people who call from a page: hasty fingers, microphones pulled out, networks that go away."""

from __future__ import annotations

import pytest

from telephony.leg import EndCause, LegEnded
from tests.e2e.chromium import Page
from tests.fakes.page_server import PageServer
from tests.fakes.webrtc import Ears
from tests.integration.web.test_page_call import A_MOMENT, STATE, call

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP_MICROPHONE = """(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.opened = [];
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await open(wanted);
        window.opened.push(stream);
        return stream;
    };
})()"""
PULL_MICROPHONE = """(() => {
    const track = window.opened.at(-1).getAudioTracks()[0];
    track.stop();
    track.dispatchEvent(new Event("ended"));
})()"""


async def is_up(page: Page, server: PageServer) -> bool:
    """Whether what was begun becomes a call, and stays one until the bot ends it."""
    leg = await server.call()
    await page.wait_for(f"{STATE} === 'listening'")
    await leg.hang_up()
    return (await Ears(leg).end()) == LegEnded(EndCause.BOT_HUNG_UP)


async def test_a_double_click_calls_and_does_not_hang_up(page: Page, server: PageServer) -> None:
    x, y = await page.evaluate("""(() => {
        const box = document.getElementById("talk").getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    })()""")
    for count in (1, 2):
        for kind in ("mousePressed", "mouseReleased"):
            await page.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    assert await is_up(page, server)


async def test_two_taps_at_once_call_and_do_not_hang_up(page: Page, server: PageServer) -> None:
    await page.evaluate("for (let tap = 0; tap < 2; tap += 1) document.getElementById('talk').click()")

    assert await is_up(page, server)


async def test_who_is_asked_for_the_microphone_is_told_to_allow_it(page: Page) -> None:
    await page.evaluate("navigator.mediaDevices.getUserMedia = () => new Promise(() => {})")
    await page.click("#talk")

    await page.wait_for("document.getElementById('status').innerText === 'Brauzerdə mikrofona icazə verin.'")
    await page.click("#talk")
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.text("#status") == "Zəng bitdi."


async def test_a_microphone_that_is_pulled_out_is_followed_by_the_one_that_is_left(
    page: Page, server: PageServer
) -> None:
    await page.evaluate(KEEP_MICROPHONE)
    leg, ears = await call(page, server)
    await ears.hear_loud(1)
    await page.evaluate(PULL_MICROPHONE)
    await page.wait_for("window.opened.length === 2")

    await ears.hear_loud(20)
    await page.click("#mute")  # it mutes the new one
    assert not await page.evaluate("window.opened[1].getAudioTracks()[0].enabled")
    await leg.hang_up()
    await ears.end()
    assert page.errors == []


async def test_a_call_whose_last_microphone_is_pulled_out_says_so(page: Page, server: PageServer) -> None:
    await page.evaluate(KEEP_MICROPHONE)
    _, ears = await call(page, server)
    await page.evaluate("""navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("none", "NotFoundError");
    }""")
    await page.evaluate(PULL_MICROPHONE)

    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.text("#error") == "Mikrofon tapılmadı. Mikrofonu qoşun və yenidən zəng edin."


async def test_a_new_way_that_was_not_found_is_looked_for_again(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    await page.evaluate("""(() => {
        const restart = RTCPeerConnection.prototype.restartIce;
        window.states = [];
        RTCPeerConnection.prototype.restartIce = function () {
            this.onsignalingstatechange = () => window.states.push(this.signalingState);
            restart.call(this);
        };
    })()""")
    await page.command("Network.enable")
    await page.command("Network.setBlockedURLs", urls=["*/api/offer"])
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await page.wait_for("window.states.join() === 'have-local-offer,stable'")  # it took its offer back

    await page.command("Network.setBlockedURLs", urls=[])
    await page.evaluate("window.dispatchEvent(new Event('online'))")
    await page.wait_for("window.states.join() === 'have-local-offer,stable,have-local-offer,stable'")
    assert any("sdp" in renewal for renewal in server.renewals)
    await leg.hang_up()
    await ears.end()


async def test_a_call_that_is_given_up_leaves_no_connection_behind(page: Page) -> None:
    await page.evaluate("""(() => {
        window.made = 0;
        const Real = RTCPeerConnection;
        window.RTCPeerConnection = class extends Real { constructor(c) { super(c); window.made += 1; } };
        const real = window.fetch;
        window.fetch = (url, options) => url === "/api/ice"
            ? new Promise(done => { window.answer = () => done(new Response("{}")); }) : real(url, options);
    })()""")
    await page.click("#talk")
    await page.wait_for("window.answer !== undefined")
    await page.evaluate(A_MOMENT)
    await page.click("#talk")
    await page.wait_for(f"{STATE} === 'ended'")

    await page.evaluate("window.answer()")
    await page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert await page.evaluate("window.made") == 0


async def test_a_phones_screen_stays_on_for_the_call_and_no_longer(page: Page, server: PageServer) -> None:
    await page.evaluate("""(() => {
        window.locks = [];
        const request = async (kind) => {
            const lock = { kind, released: false, async release() { this.released = true; } };
            window.locks.push(lock);
            return lock;
        };
        Object.defineProperty(navigator, "wakeLock", { value: { request } });
    })()""")
    leg, ears = await call(page, server)
    assert await page.evaluate("window.locks.map(lock => [lock.kind, lock.released])") == [["screen", False]]

    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # back from another tab
    assert await page.evaluate("window.locks.length") == 2

    await leg.hang_up()
    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.evaluate("window.locks.at(-1).released")
