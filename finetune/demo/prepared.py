"""A corpus as `zeng finetune train` takes it: codes by clip, without files of sound, for the base's twenty hours.

The adaptation goes the product's whole way instead, from recordings through `zeng finetune prepare`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import soundfile
from safetensors.numpy import save_file

from finetune.data.clip import Clip
from finetune.data.codes import Encoder, read_as_end
from finetune.data.manifest import Entry, Prepared, write_manifest, write_prepared
from finetune.data.text import NORMALISER
from finetune.demo.sentences import SPEAKERS
from finetune.demo.synthesis import RATE_HZ, Corpus
from tts_engine.model.prompt import Codes

_SHARD = "corpus"


def write_prepared_corpus(
    folder: Path, corpus: Corpus, indices: Sequence[int], encoder: Encoder, *, validation: int, batch_s: float = 200.0
) -> int:
    """Encode clips and write them as a prepared folder, the last `validation` ones held out; returns how many."""
    order = sorted(indices, key=lambda n: int(corpus.places[n, 1] - corpus.places[n, 0]))
    codes: dict[str, Codes] = {}
    batch: list[int] = []
    for index in [*order, -1]:
        seconds = (corpus.places[index, 1] - corpus.places[index, 0]) / RATE_HZ if index >= 0 else 0.0
        if batch and (index < 0 or (len(batch) + 1) * seconds > batch_s):
            made = encoder.encode([corpus.clip(n) for n in batch])
            codes |= {str(n): one for n, one in zip(batch, made, strict=True) if not read_as_end(one)}
            batch = []
        batch.append(index)
    kept = [n for n in indices if str(n) in codes]
    held_out = set(kept[len(kept) - validation :])
    entries: list[Entry] = []
    for n in kept:
        split = "validation" if n in held_out else "train"
        frames = codes[str(n)]
        entries.append(Entry(_clip(corpus, n, frames), split, corpus.sentences[n].speaker, _SHARD, len(frames)))
    (folder / "codes").mkdir(parents=True, exist_ok=True)
    save_file(codes, folder / f"codes/{_SHARD}.safetensors")
    write_manifest(folder, entries)
    voices = {str(number): number for number in range(len(SPEAKERS))}
    sums = {"clips": len(entries), "seconds": round(sum(entry.clip.seconds for entry in entries), 1)}
    write_prepared(folder, Prepared(encoder.fingerprint, encoder.num_codebooks, voices, NORMALISER, "keep"), {}, sums)
    return len(entries)


def write_recordings(folder: Path, corpus: Corpus, indices: Sequence[int]) -> None:
    """Write clips as a user's recordings are: WAV files and a manifest in JSON lines."""
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for n in indices:
        row = corpus.sentences[n]
        soundfile.write(folder / f"wavs/{row.id}.wav", corpus.clip(n), RATE_HZ, subtype="PCM_16")
        line = {"audio": f"wavs/{row.id}.wav", "text": row.text, "speaker": str(row.speaker)}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")


def _clip(corpus: Corpus, index: int, codes: Codes) -> Clip:
    row, (start, end) = corpus.sentences[index], corpus.places[index].tolist()
    digest = hashlib.sha256(codes.tobytes()).hexdigest()[:16]
    return Clip(
        id=str(index), file="", text=row.text, speaker=str(row.speaker), seconds=(end - start) / RATE_HZ,
        source=str(row.id), sound_hash=digest, snr_db=None, cut_s=0.0, bandwidth_hz=11_000.0,
    )  # fmt: skip
