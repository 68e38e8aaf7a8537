"""A browser, a server and a microphone for the page's tests."""

from __future__ import annotations

import wave
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from tests.e2e.chromium import Chromium, Page, chromium, executable
from tests.fakes.page_server import PageServer, page_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        if executable() is None:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file of a second: 440 Hz in bursts, which noise suppression takes for no noise."""
    path = tmp_path_factory.mktemp("microphone") / "bursts.wav"
    at = np.arange(48_000) / 48_000
    sound = 12_000 * np.sin(2 * np.pi * 440 * at) * (at % 0.5 < 0.3)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(sound.astype("<i2").tobytes())
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory, microphone: Path) -> AsyncGenerator[Chromium]:
    async with chromium(tmp_path_factory.mktemp("chromium"), microphone=microphone) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncGenerator[PageServer]:
    async with page_server() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Chromium, server: PageServer) -> AsyncGenerator[Page]:
    async with browser.page() as made:
        await made.open(server.url)
        yield made
