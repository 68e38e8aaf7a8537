"""Mimi's codes of clips, made once and kept in shards.

A shard is a safetensors file of int16 [frames, codebooks] by clip id. The stock training path encodes every clip anew
in every step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.numpy import save

from finetune.data.audio import Samples, read_clip
from finetune.data.clip import Clip
from finetune.whole_file import write_whole
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import Codes


class Encoder:
    """Mimi's encoder in float32, as serving has it: in bfloat16 codes differ."""

    def __init__(self, folder: Path, *, device: torch.device) -> None:
        config = CsmConfig.read(folder)
        checkpoint = Checkpoint(folder)
        self._encoder = MimiEncoder(config.mimi)
        load_encoder(self._encoder, checkpoint)
        self._encoder.to(device).eval()
        self._device = device
        self.num_codebooks = config.num_codebooks
        self.frame_samples = config.mimi.frame_samples
        self.fingerprint = fingerprint(checkpoint)

    @torch.inference_mode()
    def encode(self, sounds: Sequence[Samples]) -> list[Codes]:
        """Codes [ceil(N / 1920), codebooks] of sounds [N] at 24 kHz.

        All are filled with zeros to one length; the codec is causal, so each gets the codes it gets alone.
        """
        longest = max(len(sound) for sound in sounds)
        batch = torch.zeros(len(sounds), longest)
        for row, sound in enumerate(sounds):
            batch[row, : len(sound)] = torch.from_numpy(sound)
        codes = self._encoder(batch.to(self._device))[..., : self.num_codebooks].to(torch.int16).cpu().numpy()
        lengths = [-(-len(sound) // self.frame_samples) for sound in sounds]
        return [codes[row, :length].copy() for row, length in enumerate(lengths)]


def read_as_end(codes: Codes) -> bool:
    """Is there a frame that the server would take for the end: zero in all codebooks but the last."""
    return bool((codes[:, :-1] == 0).all(axis=1).any())


def shards(clips: Sequence[Clip], size: int) -> Iterator[tuple[str, Sequence[Clip]]]:
    """Cut clips, sorted by length so that batches waste little, into shards named by what is in them."""
    ordered = sorted(clips, key=lambda clip: (clip.seconds, clip.id))
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        content = hashlib.sha256("\n".join(f"{clip.id} {clip.sound_hash}" for clip in part).encode())
        yield content.hexdigest()[:16], part


def encode_shard(encoder: Encoder, clips: Sequence[Clip], folder: Path, path: Path, *, batch_s: float) -> None:
    """Encode clips whose files are under `folder` and write the shard; it appears only when it is whole."""
    codes: dict[str, Codes] = {}
    for batch in _batches(clips, batch_s):
        sounds = [read_clip(folder / clip.file) for clip in batch]
        codes.update(zip((clip.id for clip in batch), encoder.encode(sounds), strict=True))
    write_whole(path, save(codes))  # raises OSError on a full disk, as safetensors' own writing does not


class Shard:
    """A shard on disk; codes are read one clip at a time."""

    def __init__(self, path: Path) -> None:
        self._file = safe_open(path, framework="numpy")

    def codes(self, clip_id: str) -> Codes:
        return self._file.get_tensor(clip_id)


def _batches(clips: Iterable[Clip], batch_s: float) -> Iterator[list[Clip]]:
    batch: list[Clip] = []
    for clip in clips:
        # sorted by length, so the newest is the longest and all are filled to it
        if batch and (len(batch) + 1) * clip.seconds > batch_s:
            yield batch
            batch = []
        batch.append(clip)
    if batch:
        yield batch


def fingerprint(checkpoint: Checkpoint) -> str:
    """Name the codec by its codebooks: codes of one are noise to another."""
    digest = hashlib.sha256()
    for name in sorted(checkpoint.names("codec_model.quantizer.")):
        digest.update(name.encode())
        digest.update(checkpoint.tensor(name).float().numpy().tobytes())
    return digest.hexdigest()[:16]
