from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bot.errors import ModelFileError
from bot.models.hub import Hub
from bot.models.registry import HubSource
from bot.models.settings import ModelSettings
from tests.fakes.models import WEIGHTS, pinned

SOURCE = HubSource("someone/small", "0" * 40)
FILE = pinned("model.bin", WEIGHTS)
SETTINGS = ModelSettings(hub_url="https://hub.test/")


def _hub(answer: Callable[[httpx.Request], httpx.Response]) -> Hub:
    return Hub(SETTINGS, httpx.Client(transport=httpx.MockTransport(answer)))


def _ranged(request: httpx.Request) -> httpx.Response:
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    return httpx.Response(206 if start else 200, content=WEIGHTS[start:])


def test_a_file_comes_from_its_pinned_revision(tmp_path: Path):
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return _ranged(request)

    told: list[tuple[int, int]] = []
    _hub(answer).download(SOURCE, FILE, tmp_path / "part", report=lambda *step: told.append(step))
    assert asked == [f"https://hub.test/someone/small/resolve/{'0' * 40}/model.bin"]
    assert (tmp_path / "part").read_bytes() == WEIGHTS
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS))


def test_a_broken_off_download_goes_on(tmp_path: Path):
    part = tmp_path / "part"
    part.write_bytes(WEIGHTS[:100])
    ranges: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        ranges.append(request.headers.get("range"))
        return _ranged(request)

    _hub(answer).download(SOURCE, FILE, part, report=lambda *_: None)
    assert ranges == ["bytes=100-"]
    assert part.read_bytes() == WEIGHTS


def test_a_hub_without_ranges_starts_again(tmp_path: Path):
    part = tmp_path / "part"
    part.write_bytes(b"x" * 100)
    _hub(lambda _: httpx.Response(200, content=WEIGHTS)).download(SOURCE, FILE, part, report=lambda *_: None)
    assert part.read_bytes() == WEIGHTS


def test_a_whole_file_that_was_refused_is_fetched_anew(tmp_path: Path):
    part = tmp_path / "part"
    part.write_bytes(bytes(len(WEIGHTS)))
    _hub(_ranged).download(SOURCE, FILE, part, report=lambda *_: None)
    assert part.read_bytes() == WEIGHTS


def test_a_file_that_does_not_end_is_cut_off(tmp_path: Path):
    answer = httpx.Response(200, content=WEIGHTS + b"more")
    with pytest.raises(ModelFileError, match="longer than its 10240 bytes"):
        _hub(lambda _: answer).download(SOURCE, FILE, tmp_path / "part", report=lambda *_: None)


@pytest.mark.parametrize("status", [404, 500])
def test_a_refused_download_says_so(tmp_path: Path, status: int):
    with pytest.raises(ModelFileError, match=rf"model\.bin broke off: .*{status}"):
        _hub(lambda _: httpx.Response(status)).download(SOURCE, FILE, tmp_path / "part", report=lambda *_: None)


def test_a_reachable_hub_passes_the_check():
    methods: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        return httpx.Response(200)

    _hub(answer).check(SOURCE, FILE)
    assert methods == ["HEAD"]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (httpx.ConnectTimeout(""), "cannot be reached: ConnectTimeout"),
        (httpx.ConnectError("no route"), "cannot be reached: no route"),
        (407, "answered 407 for someone/small/model.bin"),
    ],
)
def test_an_unreachable_hub_is_told_at_once(failure: httpx.HTTPError | int, said: str):
    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(failure, int):
            return httpx.Response(failure)
        raise failure

    with pytest.raises(ModelFileError, match=said):
        _hub(answer).check(SOURCE, FILE)
