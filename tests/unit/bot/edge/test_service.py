"""What the service tells the processes that it starts."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.edge import service
from bot.edge.banner import banner
from bot.edge.children import ChildSpec
from bot.edge.cli import _with_voice
from bot.edge.service import Service
from bot.errors import ServiceStartError
from bot.settings import Settings, load_settings
from tts_engine.settings import TtsSettings, load_tts_settings

_TTS = """
[tts]
voice = "aysel"
max_streams = 3
[tts.espeak]
pitch = 40
[tts.csm]
model = "base"
adapter = "adapter"
voices = ["voices/aysel"]
device = "cuda"
streams = 7
"""


class Nursery:
    """Takes the place of `Children`: keeps what it is told to start."""

    def __init__(self) -> None:
        self.specs: dict[str, ChildSpec] = {}

    async def start(self, *specs: ChildSpec) -> None:
        self.specs |= {spec.name: spec for spec in specs}


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = itertools.count(8100)
    # what is free now and not yet taken may be given twice
    monkeypatch.setattr(service, "free_port", lambda: next(ports) // 2)
    monkeypatch.setattr(service, "fetch_missing", lambda name, models: None)


def write(folder: Path, text: str) -> Path:
    file = folder / "zeng.toml"
    file.write_text("[redis]\nurl = 'redis://127.0.0.1:1'\n" + text)
    return file


async def started(settings: Settings, config: Path | None, folder: Path) -> tuple[Nursery, dict[str, str]]:
    parts = Service(settings, config=config, demo=False, log_level="INFO")
    nursery = Nursery()
    parts._children = nursery  # type: ignore[assignment]
    return nursery, await parts._start_parts(folder)


def read_by_its_server(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> TtsSettings:
    """As `zeng tts serve` reads them, in the environment that it is started with."""
    for name, value in nursery.specs["speech server"].environment.items():
        monkeypatch.setenv(name, value)
    return load_tts_settings(None)


@pytest.mark.parametrize("by_variable", [False, True])
async def test_the_speech_server_is_given_all_of_its_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    config = write(tmp_path, "[recogniser]\nurl = 'http://127.0.0.1:2/v1'\n[sip]\nuser = 'zeng'\n" + _TTS)
    if by_variable:
        monkeypatch.setenv("ZENG_CONFIG", str(config))
    settings = load_settings(None if by_variable else config)

    nursery, _ = await started(settings, None if by_variable else config, tmp_path)
    tts = read_by_its_server(nursery, monkeypatch)

    assert tts == settings.tts.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    assert (tts.voice, tts.max_streams, tts.espeak.pitch, tts.csm.device, tts.csm.streams) == (
        "aysel",
        3,
        40,
        "cuda",
        7,
    )


async def test_two_servers_of_a_service_are_given_two_ports(tmp_path: Path) -> None:
    nursery, environment = await started(load_settings(write(tmp_path, "")), None, tmp_path)

    assert set(nursery.specs) == {"speech server", "recogniser"}
    assert environment["ZENG_SPEECH__URL"].split("/")[2] != environment["ZENG_RECOGNISER__URL"].split("/")[2]


async def test_options_of_the_command_go_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path, "[recogniser]\nurl = 'http://127.0.0.1:2/v1'\n" + _TTS)
    settings = load_settings(config, _with_voice(load_settings(config), "/voice"))

    nursery, _ = await started(settings, config, tmp_path)
    tts = read_by_its_server(nursery, monkeypatch)

    assert (tts.csm.model, tts.backend, tts.voice) == ("/voice", settings.tts.backend, "aysel")


async def test_an_own_recogniser_is_asked_for_the_model_that_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(tmp_path, "[speech]\nurl = 'http://127.0.0.1:2'\n[recogniser_server]\nmodel = 'own'\nthreads = 2\n")
    settings = load_settings(config)

    nursery, environment = await started(settings, config, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert "recogniser" in nursery.specs
    assert load_settings(None).recogniser.model == "own"  # as a worker reads it
    assert load_settings(None).recogniser_server.threads == 2
    shown = banner(Service(settings, config=config, demo=False, log_level="INFO")._info(""), "http://x")
    assert "recogniser     own (on this machine)" in shown


def test_the_recogniser_is_named_without_its_password(tmp_path: Path) -> None:
    config = write(tmp_path, "[recogniser]\nurl = 'http://bot:geheim@10.0.0.1:8000/v1'\nmodel = 'whisper'\n")

    info = Service(load_settings(config), config=config, demo=False, log_level="INFO")._info("")

    assert info.recogniser == "whisper (http://10.0.0.1:8000/v1)"


@pytest.mark.parametrize(
    ("own", "first"),
    [("url = 'http://bot:geheim@10.0.0.1:8100'", "http://10.0.0.1:8100"), ("", "aysel")],
    ids=["another's", "the service's own"],
)
def test_all_speech_servers_are_named_without_their_passwords(own: str, first: str, tmp_path: Path) -> None:
    config = write(
        tmp_path, f"[tts]\nvoice = 'aysel'\n[speech]\n{own}\nmore_urls = ['http://u:geheim@10.0.0.2:8100/v']\n"
    )

    info = Service(load_settings(config), config=config, demo=False, log_level="INFO")._info("")

    assert info.voice == f"{first}, http://10.0.0.2:8100/v"


def test_the_example_of_the_banner_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(None)
    shown = banner(Service(settings, config=None, demo=True, log_level="INFO")._info(""), "http://x")
    pairs = [word.split("=", 1) for word in shown.split() if word.startswith("ZENG_")]
    for name, value in pairs:
        monkeypatch.setenv(name, value)

    assert pairs
    assert load_settings(None).flow.path == "bank"


async def test_a_token_that_is_not_there_stops_the_start_before_anything_is_loaded(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "[web]\napi_token_env = 'ZENG_TEST_NO_SUCH_TOKEN'\n"))
    parts = Service(settings, config=None, demo=False, log_level="INFO")
    parts._children = nursery = Nursery()  # type: ignore[assignment]

    async with AsyncExitStack() as stack:
        with pytest.raises(ServiceStartError, match="ZENG_TEST_NO_SUCH_TOKEN"):
            await parts._start(tmp_path, stack)

    assert not nursery.specs


def test_a_process_that_fell_is_told_to_prometheus_by_its_name() -> None:
    ours = Service(Settings(), config=None, demo=False, log_level="INFO")
    for name in ("worker-0", "worker-1", "worker-0"):
        ours._children._on_fall(name)

    told = [ours._registry.get_sample_value("zeng_process_falls_total", {"name": f"worker-{n}"}) for n in range(2)]
    assert told == [2, 1]
