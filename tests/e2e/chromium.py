"""Headless Chromium as a WebRTC caller, over the DevTools protocol (CDP).

One browser, one page: `async with chromium(folder, microphone=wav) as page`. The microphone plays a WAV file in a
loop; what the page logs as an error or throws is kept in `page.errors`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
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

_START_S = 30.0
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
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
)
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")


class CdpError(Exception):
    """Chromium refused a command, or a script failed or took too long; says which."""


def executable() -> str | None:
    """Path of Chromium on this machine, None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page of a running browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session: str | None = None
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.errors: list[str] = []

    async def attach(self) -> None:
        """Open a blank page and listen to what it reports."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")

    async def read(self) -> None:
        """Pass answers and events on until the browser closes the connection."""
        async for text in self._socket:
            message: dict[str, Any] = json.loads(text)
            if "id" in message:
                self._calls.pop(message["id"]).set_result(message)
            else:
                self._on_event(message["method"], message.get("params", {}))

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One CDP command; raises `CdpError` with Chromium's words."""
        number = max(self._calls, default=0) + 1
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps(request | ({"sessionId": self._session} if self._session else {})))
        message = await asyncio.wait_for(answer, _START_S)
        if "error" in message:
            raise CdpError(f"{method}: {message['error']['message']}")
        return message["result"]

    async def open(self, url: str) -> None:
        """Go to a URL and wait until it has loaded."""
        self._loaded.clear()
        result = await self.command("Page.navigate", url=url)
        if "errorText" in result:
            raise CdpError(f"{url}: {result['errorText']}")
        await asyncio.wait_for(self._loaded.wait(), _START_S)

    async def evaluate(self, expression: str) -> Any:
        """Value (JSON) of an expression; a promise is awaited. Raises `CdpError` with the script's exception."""
        result = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if details := result.get("exceptionDetails"):
            raise CdpError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    async def wait_for(self, expression: str, *, timeout_s: float = 15.0) -> Any:
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
        """Press and release the mouse in the middle of an element."""
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
        result = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(result["data"])

    async def resize(self, *, width: int, height: int, dark: bool = False, scale: float = 1.0) -> None:
        """Show the page in a window of this size, in the light or dark scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        await self.command("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _on_event(self, method: str, parameters: dict[str, Any]) -> None:
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
    folder: Path, *, microphone: Path | None = None, allow_microphone: bool = True, language: str = "az"
) -> AsyncGenerator[Page]:
    """Run Chromium with its profile in `folder` and one page open; ends it, and all its children, at exit."""
    program = executable()
    if program is None:
        raise CdpError("no Chromium on this machine: install the chromium package")
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--lang={language}"]
    flags.append(f"--use-fake-ui-for-media-stream{'' if allow_microphone else '=deny'}")
    flags.append("--use-fake-device-for-media-stream")
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    process = await asyncio.create_subprocess_exec(
        program, *flags, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        url = await asyncio.wait_for(_devtools_url(process.stderr), _START_S)
        drain = asyncio.create_task(_drain(process.stderr))
        async with connect(url, max_size=1 << 26, ping_interval=None) as socket:
            page = Page(socket)
            reader = asyncio.create_task(page.read())
            await page.attach()
            yield page
            with contextlib.suppress(CdpError, TimeoutError):
                await page.command("Browser.close")
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
