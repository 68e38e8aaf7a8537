"""The page for who hears it read out, or has a keyboard only: what is announced, and where the focus is."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.chromium import Page
from tests.fakes.page_server import PageServer, say
from tests.integration.web.test_page_call import STATE, call, error_after_a_call
from tests.integration.web.test_page_mishaps import is_up

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIVE = """["status", "log", "clock"].map(id => document.getElementById(id).getAttribute("aria-live"))"""
DESCRIBED = "document.getElementById('talk').getAttribute('aria-describedby')"
FOCUSED = "document.activeElement.id"


async def roles(page: Page) -> dict[str, str]:
    """What the accessibility tree calls the elements that are in it, by their ids' places."""
    tree = await page.command("Accessibility.getFullAXTree")
    return {node["role"]["value"]: node.get("name", {}).get("value", "") for node in tree["nodes"] if "role" in node}


async def test_nothing_is_read_out_over_the_bot_but_the_end_is(page: Page, server: PageServer) -> None:
    assert await page.evaluate(LIVE) == ["polite", "off", "off"]
    assert await page.evaluate(DESCRIBED) == "status"

    leg, ears = await call(page, server)
    for on in (False, True):
        say(leg, "bot.speaking", on=on)
        await page.wait_for(f"{STATE} === '{'speaking' if on else 'listening'}'")
        assert await page.evaluate(LIVE) == ["off", "off", "off"]
        assert await page.evaluate(DESCRIBED) is None  # a reader may tell a button's new description

    await leg.hang_up()
    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")
    assert await page.evaluate(LIVE) == ["polite", "off", "off"]


async def test_a_call_that_fails_is_read_out_at_once(page: Page, server: PageServer) -> None:
    server.status = 500
    await error_after_a_call(page)

    assert "alert" in await roles(page)


async def test_the_conversation_is_a_list_in_a_log(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    say(leg, "turn.bot", turn_id="1", text="Salam")
    await page.wait_for("document.querySelector('#transcript li') !== null")

    named = await roles(page)
    assert named["log"] == "Söhbət"
    assert {"list", "listitem"} <= named.keys()
    await leg.hang_up()
    await ears.end()


async def test_the_focus_is_not_lost_with_a_button_that_ends_with_the_call(page: Page, server: PageServer) -> None:
    leg, ears = await call(page, server)
    await page.evaluate("document.getElementById('mute').focus()")
    assert await page.evaluate(FOCUSED) == "mute"

    await leg.hang_up()
    await ears.end()
    await page.wait_for(f"{STATE} === 'ended'")

    assert await page.evaluate(FOCUSED) == "talk"


async def test_a_key_that_is_held_calls_once(page: Page, server: PageServer) -> None:
    await page.evaluate("document.getElementById('talk').focus()")
    for _ in range(6):
        await page.command(
            "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
        )
        await asyncio.sleep(0.05)
    await page.command("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)

    assert await is_up(page, server)
