"""What a prompt costs the speech server before vLLM has it: microseconds of CPU, for one that quotes so many turns.

    python tests/bench/bench_prompt.py
    PYTHONPATH=CHECKOUT python tests/bench/bench_prompt.py       of another one

Built by the main thread, turned into ids and bytes of frames by the thread of vLLM's front end. Each prompt says a text
of its own after the same turns, as the next utterance of a call does; "one more" is a turn that was not quoted before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from tts_engine.backend.vllm_plugin.ids import FrameIds, prompt_ids
from tts_engine.model.prompt import ContextTurn, Prompt, PromptBuilder

TEXT = "Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?"
CODEBOOKS, ROUNDS = 32, 2000


class Letters:
    """A tokenizer that costs next to nothing."""

    bos_id, eos_id = 1, 2

    def encode(self, text: str) -> list[int]:
        return [9] * (len(text) // 3)


def turn(frames: int) -> ContextTurn:
    codes = np.random.default_rng(0).integers(1, 2048, frames * CODEBOOKS, np.int16).tobytes()
    return ContextTurn(0, TEXT, np.frombuffer(codes, "<i2").reshape(-1, CODEBOOKS))


def frame_bytes(prompt: Prompt) -> bytes:
    if hasattr(prompt, "frame_bytes"):
        return prompt.frame_bytes()
    return prompt.codes[prompt.tokens == -1].tobytes()  # as it was once


def took_us(work: Callable[[], object]) -> float:
    """Median of a call."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def main() -> None:
    """Print the table."""
    builder = PromptBuilder(Letters(), num_codebooks=CODEBOOKS, codebook_size=2051, positions=2048)
    ids = FrameIds(CODEBOOKS)
    print("| turns quoted, frames each | build, us | ids | bytes of frames | one more turn: build | ids |")
    print("|---|--:|--:|--:|--:|--:|")
    for turns, frames in ((0, 0), (1, 125), (2, 125), (4, 62), (2, 375)):
        context = [turn(frames) for _ in range(turns)]

        def build(more: tuple[ContextTurn, ...] = (), context: list[ContextTurn] = context) -> Prompt:
            return builder.build(TEXT, speaker=0, context=[*context, *more], reserve_frames=512)

        prompt = build()
        news = iter([build((turn(100),)) for _ in range(ROUNDS)])
        figures = (
            took_us(build),
            took_us(lambda prompt=prompt: prompt_ids(prompt, ids)),
            took_us(lambda prompt=prompt: frame_bytes(prompt)),
            took_us(lambda build=build: build((turn(100),))) - took_us(lambda: turn(100)),
            took_us(lambda news=news: prompt_ids(next(news), ids)),
        )
        print(f"| {turns} of {frames} | {' | '.join(f'{us:.1f}' for us in figures)} |")


if __name__ == "__main__":
    main()
