"""Headless Chromium as a WebRTC caller, over the DevTools protocol (CDP).

`async with chromium(folder, microphone=wav) as browser`, then `async with browser.page() as page`, as often as
needed. The microphone plays a WAV file in a loop; what a page logs as an error or throws is kept in `page.errors`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.waiting import HUNG_S

_ANSWER_S = 30.0
_CLOSE_S = 10.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--no-first-run",
    "--no-default-browser-check",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
)
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")


class CdpError(Exception):
    """Chromium refused a command, or a script failed or took too long; says which."""


def executable() -> str | None:
    """Path of Chromium on this machine, None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """A running browser; one connection carries the sessions of all its pages."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    @asynccontextmanager
    async def page(self) -> AsyncGenerator[Page]:
        """Open a blank page; it is closed at exit."""
        target = (await self.command("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await page.command(f"{domain}.enable")
        try:
            yield page
        finally:
            del self._pages[session]
            await self.command("Target.closeTarget", targetId=target)

    async def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One CDP command, to the browser or to the session of a page; raises `CdpError` with Chromium's words."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        request: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(request | ({"sessionId": session} if session else {})))
        try:
            message = await asyncio.wait_for(answer, _ANSWER_S)
        finally:
            self._answers.pop(number, None)
        if "error" in message:
            raise CdpError(f"{method}: {message['error']['message']}")
        return message["result"]

    async def read(self) -> None:
        """Pass answers and events on until the browser closes the connection."""
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                message: dict[str, Any] = json.loads(text)
                if answer := self._answers.get(message.get("id", 0)):
                    answer.set_result(message)
                elif page := self._pages.get(message.get("sessionId", "")):
                    page.on_event(message["method"], message.get("params", {}))


class Page:
    """One page of a browser, made by `Chromium.page`."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self._loaded = asyncio.Event()
        self.errors: list[str] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One CDP command; raises `CdpError`."""
        return await self._browser.command(method, self._session, **parameters)

    async def open(self, url: str) -> None:
        """Go to a URL and wait until it has loaded."""
        self._loaded.clear()
        result = await self.command("Page.navigate", url=url)
        if "errorText" in result:
            raise CdpError(f"{url}: {result['errorText']}")
        await asyncio.wait_for(self._loaded.wait(), _ANSWER_S)

    async def evaluate(self, expression: str) -> Any:
        """Value (JSON) of an expression; a promise is awaited. Raises `CdpError` with the script's exception."""
        result = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if details := result.get("exceptionDetails"):
            raise CdpError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    async def wait_for(self, expression: str, *, timeout_s: float = HUNG_S) -> Any:
        """Value of an expression once it is true; raises `CdpError` if it does not become so."""
        return await self.evaluate(f"""new Promise((resolve, reject) => {{
            const source = {json.dumps(expression)}, until = performance.now() + {timeout_s * 1000};
            const look = () => {{
                const value = eval(source);
                if (value) resolve(value);
                else if (performance.now() > until) reject(new Error("never true: " + source));
                else setTimeout(look, 20);
            }};
            look();
        }})""")

    async def text(self, selector: str) -> str:
        """What is to be read in the first element that matches."""
        return await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    async def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element, whatever lies over it."""
        x, y = await self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "nearest"}});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def press(self, key: str) -> None:
        """Press and release a key, by what it types ("5") or its name ("Tab")."""
        typed = {"text": key} if len(key) == 1 else {}
        await self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **typed)
        await self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def screenshot(
        self, *, width: int = 1280, height: int = 800, dark: bool = False, scale: float = 1.0
    ) -> bytes:
        """PNG of the page, as a window of this size shows it."""
        await self.resize(width=width, height=height, dark=dark, scale=scale)
        return base64.b64decode((await self.command("Page.captureScreenshot", format="png"))["data"])

    async def resize(self, *, width: int, height: int, dark: bool = False, scale: float = 1.0) -> None:
        """Show the page in a window of this size, in the light or dark scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        await self.command("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def on_event(self, method: str, parameters: dict[str, Any]) -> None:
        """Take what Chromium reports of this page."""
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}".strip())


@asynccontextmanager
async def chromium(
    folder: Path, *, microphone: Path | None = None, allow_microphone: bool = True
) -> AsyncGenerator[Chromium]:
    """Run Chromium with its profile in `folder`; ends it, and all its children, at exit."""
    program = executable()
    if program is None:
        raise CdpError("no Chromium on this machine: install the chromium package")
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}"]
    flags.append(f"--use-fake-ui-for-media-stream{'' if allow_microphone else '=deny'}")
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    process = await asyncio.create_subprocess_exec(
        program, *flags, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        url = await asyncio.wait_for(_devtools_url(process.stderr), _ANSWER_S)
        drain = asyncio.create_task(_drain(process.stderr))
        async with connect(url, max_size=1 << 26, ping_interval=None) as socket:
            browser = Chromium(socket)
            reader = asyncio.create_task(browser.read())
            yield browser
            with contextlib.suppress(CdpError, TimeoutError):
                await browser.command("Browser.close")
            await asyncio.wait([reader], timeout=_CLOSE_S)
            reader.cancel()
        drain.cancel()
        await asyncio.wait_for(process.wait(), _CLOSE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _devtools_url(stderr: asyncio.StreamReader) -> str:
    lines: list[bytes] = []
    async for line in stderr:
        if match := _LISTENING.search(line):
            return match[1].decode()
        lines.append(line)
    raise CdpError(f"Chromium ended at once: {b''.join(lines)[-2000:].decode(errors='replace')}")


async def _drain(stderr: asyncio.StreamReader) -> None:
    async for _ in stderr:
        pass
