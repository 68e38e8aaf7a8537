"""The page without a call: languages, names for all that can be pressed, room on a small screen."""

from __future__ import annotations

import re

import pytest

from tests.e2e.chromium import Page
from tests.fakes.page_server import INFO, PAGE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_page_is_azerbaijani_until_english_is_chosen_and_remembers_it(page: Page) -> None:
    assert await page.evaluate("document.documentElement.lang") == "az"
    assert await page.text("#talk") == "Zəng et"
    await page.click("[data-language=en]")
    assert await page.evaluate("document.documentElement.lang") == "en"
    assert await page.text("#talk") == "Call"
    await page.open(await page.evaluate("location.href"))
    assert await page.text("#talk") == "Call"
    assert page.errors == []


async def test_the_footer_says_what_the_bot_is_made_of(page: Page) -> None:
    await page.wait_for("document.querySelectorAll('#about dd').length > 0")
    shown = await page.text("#about")
    assert all(value in shown for value in INFO.values())


async def test_everything_that_can_be_pressed_has_a_name_and_a_place_in_the_tab_order(page: Page) -> None:
    await page.click("#keypad-toggle")
    tree = await page.command("Accessibility.getFullAXTree")
    buttons = [node for node in tree["nodes"] if node.get("role", {}).get("value") == "button"]
    names = [node["name"]["value"] for node in buttons]
    assert len(names) == 17  # the call, the microphone, the keypad's own, two languages and twelve keys
    assert all(names)
    assert len(set(names)) == len(names)
    assert "ulduz düyməsi" in names


async def test_the_call_button_works_from_the_keyboard(page: Page) -> None:
    for _ in range(10):
        await page.press("Tab")
        if await page.evaluate("document.activeElement.id") == "talk":
            break
    assert await page.evaluate("document.activeElement.id") == "talk"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(outline) == "solid"


COVERED = """[...document.querySelectorAll("button")].filter((button) => {
    button.scrollIntoView({block: "center"});
    const box = button.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return !button.contains(top);
}).map(button => button.id || button.dataset.key || button.dataset.language)"""


@pytest.mark.parametrize(
    ("width", "height"), [(320, 568), (390, 844), (568, 320), (640, 400), (768, 1024), (800, 490), (1280, 800)]
)
async def test_on_any_screen_nothing_sticks_out_and_no_button_is_covered(page: Page, width: int, height: int) -> None:
    await page.resize(width=width, height=height)
    await page.click("#keypad-toggle")
    for language in ("az", "en"):
        await page.click(f"[data-language={language}]")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(COVERED) == []


async def test_a_phone_on_its_side_shows_all_that_a_call_needs(page: Page) -> None:
    await page.resize(width=568, height=320)

    below = (
        "['talk', 'status', 'mute', 'keypad-toggle'].filter(id => $(id).getBoundingClientRect().bottom > innerHeight)"
    )
    assert await page.evaluate(f"(($) => {below})((id) => document.getElementById(id))") == []


async def test_colours_follow_the_scheme_of_the_system(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    await page.resize(width=1280, height=800)
    light = await page.evaluate(ground)
    await page.resize(width=1280, height=800, dark=True)
    assert await page.evaluate(ground) != light


CONTRAST = """(() => {
    const luminance = colour => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255);
        const [r, g, b] = parts.map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(document.documentElement);
    const probe = document.body.appendChild(document.createElement("i"));
    const value = name => { probe.style.color = `var(--${name})`; return luminance(getComputedStyle(probe).color); };
    const pairs = ["ink/ground", "ink/card", "quiet/card", "quiet/ground", "on-accent/accent", "on-danger/danger",
                   "danger/danger-ground", "ink/bot-ground", "ink/caller-ground", "quiet/bot-ground"];
    const ratios = pairs.map((pair) => {
        const [a, b] = pair.split("/").map(value).sort((x, y) => y - x);
        return [pair, (a + 0.05) / (b + 0.05)];
    });
    probe.remove();
    return ratios;
})()"""


@pytest.mark.parametrize("dark", [False, True])
async def test_text_stands_out_from_its_ground(page: Page, *, dark: bool) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    await page.resize(width=1280, height=800, dark=dark)
    too_faint = {pair: ratio for pair, ratio in await page.evaluate(CONTRAST) if ratio < 4.5}
    assert too_faint == {}


async def test_without_javascript_each_language_is_named(page: Page) -> None:
    html = (PAGE / "index.html").read_text("utf-8")
    noscript = html[html.index("<noscript>") : html.index("</noscript>")]

    assert '<html lang="az">' in html
    assert '<span lang="en">JavaScript is needed to call.</span>' in noscript


async def test_colours_do_without_what_older_browsers_lack(page: Page) -> None:
    css = (PAGE / "style.css").read_text("utf-8")
    light, dark = (re.findall(r"^ +(--[\w-]+): #", block, re.MULTILINE) for block in css.split("@media", 2)[:2])

    assert "light-dark(#" not in css  # Chrome 123, Safari 17.5
    assert light == dark
    assert len(light) > 15


async def test_who_wants_no_motion_sees_none(page: Page) -> None:
    await page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    await page.evaluate("document.body.dataset.state = 'connecting'")

    assert await page.evaluate("document.getAnimations().length") == 0
