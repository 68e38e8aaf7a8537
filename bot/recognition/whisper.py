"""Whisper for short telephone utterances: CTranslate2 with a window as long as the speech needs, not 30 s.

Whisper is trained on windows of 30 s and its encoder is where the time goes. CTranslate2 takes shorter ones; with
speech padded by digital silence to 5 s or more the text is as good at a fourteenth of the encoder's work.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from bot.errors import SettingsError
from bot.recognition.audio import LONGEST_S
from bot.recognition.copying import copies, first_saying, likely_tokens
from bot.recognition.guards import Judged, judge
from bot.recognition.settings import RecogniserServerSettings
from bot.recognition.vocabulary import AZERBAIJANI_LETTERS, cut, first_timestamp, token_id, vocabulary_size
from bot.recognition.wav import RATE_HZ

_FRAMES_PER_S = 100  # of the mel spectrogram
_DECODER_TOKENS = 448
_PROMPT_TOKENS = 200
# An Azerbaijani syllable is about one and a half tokens and speech has up to eight syllables a second.
_TOKENS_AT_LEAST = 24
_TOKENS_PER_S = 12
# Of 151 prompted utterances four were below, all misread; texts that the prompt put into noise are mostly below -3.2.
_SUPPORT_MIN = -3.0


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance and how to read it."""

    samples: NDArray[np.float32]  # 16 kHz, at most 30 s
    language: str
    prompt: str = ""  # text that the utterance may resemble
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What Whisper made of one utterance, before any guard."""

    text: str
    tokens: tuple[int, ...]
    audio_s: float
    avg_logprob: float  # natural logarithm, mean over the tokens
    no_speech_prob: float
    encode_s: float
    decode_s: float

    def judged(self) -> Judged:
        """What the guards leave of it."""
        return judge(
            self.text,
            audio_s=self.audio_s,
            avg_logprob=self.avg_logprob,
            no_speech_prob=self.no_speech_prob,
            compression_ratio=self.compression_ratio,
        )

    @property
    def compression_ratio(self) -> float:
        """Text bytes to their zlib size; speech stays under 2.4, a repeating text is above (openai/whisper)."""
        raw = self.text.encode()
        return len(raw) / len(zlib.compress(raw)) if raw else 0.0


@dataclass(frozen=True, slots=True)
class _Reading:
    text: str
    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float


class _Generated(Protocol):
    """One result of CTranslate2, which has no types."""

    @property
    def sequences_ids(self) -> list[list[int]]: ...
    @property
    def scores(self) -> list[float]: ...
    @property
    def no_speech_prob(self) -> float: ...


class Stopped(Exception):  # noqa: N818 - not an error: the caller of `transcribe` asked for it
    """Nobody waits for the result any more."""


class Whisper:
    """A loaded model. `transcribe` may be called from several threads; `workers` of them run at a time."""

    def __init__(self, folder: Path, settings: RecogniserServerSettings) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        files, kept = self._choose(folder, settings)
        self._original = kept
        self._new = {token: place for place, token in enumerate(kept)}
        self._ends = frozenset(self._new[token] for token in _sentence_ends(self._tokenizer) if token in self._new)
        self._settings = settings
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder),
                device=settings.device,
                compute_type=settings.compute_type,
                inter_threads=settings.workers,
                intra_threads=settings.threads,
                files=files,
            )
        except (ValueError, RuntimeError) as error:  # a number type that the machine has not; no CUDA
            raise SettingsError(
                f"[recogniser_server] device = {settings.device!r} with compute_type = {settings.compute_type!r} does "
                f"not run here: {error}"
            ) from error
        self._features = FeatureExtractor()

    def _choose(
        self, folder: Path, settings: RecogniserServerSettings
    ) -> tuple[dict[str, bytes] | None, tuple[int, ...]]:
        if settings.whole_vocabulary:
            return None, tuple(range(vocabulary_size(self._tokenizer)))
        if settings.language != "az":
            raise SettingsError(
                f"[recogniser_server] language = {settings.language!r} needs whole_vocabulary = true; "
                "only Azerbaijani has an alphabet here"
            )
        smaller = cut(folder, self._tokenizer, AZERBAIJANI_LETTERS)
        return smaller.files, smaller.kept

    def can_read(self, language: str) -> bool:
        """Whether the model and its vocabulary know a language (ISO 639-1)."""
        known = self._tokenizer.token_to_id(f"<|{language}|>") is not None
        return known and (self._settings.whole_vocabulary or language == self._settings.language)

    def transcribe(self, request: Request, *, stopped: Callable[[], bool] = lambda: False) -> Heard:
        """Read one utterance. Raises `Stopped` between its steps if `stopped()` by then."""
        began = perf_counter()
        audio_s = len(request.samples) / RATE_HZ
        encoded = self._model.encode(ctranslate2.StorageView.from_array(self._window(request.samples)))
        encoded_at = perf_counter()
        reading = self._read(encoded, request, request.prompt.strip(), audio_s, stopped)
        if copies(reading.text, request.prompt) and self._support(encoded, request, reading) < _SUPPORT_MIN:
            reading = self._read(encoded, request, "", audio_s, stopped)
        return Heard(
            text=reading.text,
            tokens=reading.tokens,
            audio_s=audio_s,
            avg_logprob=reading.avg_logprob,
            no_speech_prob=reading.no_speech_prob,
            encode_s=encoded_at - began,
            decode_s=perf_counter() - encoded_at,
        )

    def _read(
        self,
        encoded: object,  # ctranslate2.StorageView, which has no type
        request: Request,
        prompt: str,
        audio_s: float,
        stopped: Callable[[], bool],
    ) -> _Reading:
        if stopped():
            raise Stopped
        before = self._before(request.language, prompt)
        most = min(_TOKENS_AT_LEAST + math.ceil(_TOKENS_PER_S * audio_s), _DECODER_TOKENS // 2)
        likely = min(likely_tokens(audio_s), most) if prompt else most // 2
        result = self._generate(encoded, before, request, likely)
        found: list[int] = list(result.sequences_ids[0])
        log_prob = result.scores[0] * len(found)
        if prompt and len(found) >= likely < most and first_saying(found, self._ends) is None:
            if stopped():
                raise Stopped
            rest = self._generate(encoded, [*before, *found], request, most - len(found))
            found += rest.sequences_ids[0]
            log_prob += rest.scores[0] * len(rest.sequences_ids[0])
        avg_logprob = log_prob / (len(found) + 1)
        tokens = tuple(self._original[token] for token in found[: first_saying(found, self._ends)])
        return _Reading(
            text=self._text(tokens, audio_s),
            tokens=tokens,
            avg_logprob=avg_logprob,
            no_speech_prob=result.no_speech_prob,
        )

    def _generate(self, encoded: object, before: list[int], request: Request, most: int) -> _Generated:
        return self._model.generate(
            encoded,
            [before],
            beam_size=1 if request.temperature else self._settings.beam_size,
            sampling_topk=0 if request.temperature else 1,
            sampling_temperature=request.temperature or 1.0,
            max_length=max(len(before) + most, 2 * most),  # CTranslate2 stops at half of it, or at it less the prompt
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1],
        )[0]

    def _support(self, encoded: object, request: Request, reading: _Reading) -> float:
        """Mean log probability of a text without the prompt that suggested it: what the sound alone says of it.

        For a breath or a cough Whisper copies the prompt and is sure of it; the sound is not.
        """
        words = [self._new[token] for token in reading.tokens if token < token_id(self._tokenizer, "<|endoftext|>")]
        if not words:
            return 0.0
        start = self._ids(_start(request.language))
        frames = len(request.samples) * _FRAMES_PER_S // RATE_HZ
        aligned = self._model.align(encoded, start, [words], [max(frames, 2)], median_filter_width=1)[0]
        return sum(math.log(max(prob, 1e-9)) for prob in aligned.text_token_probs) / len(words)

    def _window(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        least = max(self._settings.window_min_s, len(samples) / RATE_HZ + self._settings.window_margin_s)
        frames = 2 * math.ceil(min(least, LONGEST_S) * _FRAMES_PER_S / 2)  # the encoder halves them
        padded = np.zeros(frames * RATE_HZ // _FRAMES_PER_S, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        mel = self._features(padded, padding=0)[:, :frames]
        return np.ascontiguousarray(mel[None], dtype=np.float32)

    def _before(self, language: str, prompt: str) -> list[int]:
        """Return the tokens that the text follows."""
        if not prompt:
            # With timestamps the model ends at the end of the speech; without, short words repeat into the silence.
            return self._ids(_start(language))
        # After a prompt without timestamps it is the other way round (docs/recognition.md).
        words = self._tokenizer.encode(f" {prompt}", add_special_tokens=False).ids[-_PROMPT_TOKENS:]
        usable = [self._new[token] for token in words if token in self._new]
        return [*self._ids(["<|startofprev|>"]), *usable, *self._ids([*_start(language), "<|notimestamps|>"])]

    def _ids(self, names: list[str]) -> list[int]:
        return [self._new[token_id(self._tokenizer, name)] for name in names]

    def _text(self, tokens: tuple[int, ...], audio_s: float) -> str:
        """Join the segments that begin before the speech ends; later ones are read out of silence."""
        first_time = first_timestamp(self._tokenizer)
        words: list[int] = []
        for token in tokens:
            if token < first_time:
                words.append(token)
            elif words and (token - first_time) * 0.02 >= audio_s:
                break
        return self._tokenizer.decode(words, skip_special_tokens=True).strip()


def _start(language: str) -> list[str]:
    return ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>"]


def _sentence_ends(tokenizer: tokenizers.Tokenizer) -> list[int]:
    """Ids of the tokens that end in a full stop, a question mark or an exclamation mark."""
    return [place for token, place in tokenizer.get_vocab().items() if token.endswith((".", "?", "!"))]
