"""CSM inside vLLM on this processor says what the model says by itself, whatever the scheduler does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fakes.plain_generation import generate
from tests.fakes.tiny_csm import TinyCsm, make_tiny, write_tiny_adapter
from tests.fakes.vllm_environment import run_in_vllm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.prompt import AUDIO, ContextTurn, Prompt
from tts_engine.model.sampling import Sampling
from tts_engine.model.speech import SILENCE_FRAMES
from tts_engine.model.weights import load_csm

FRAMES = 6
BLOCK = 32
GREEDY = {"temperature": 0.0, "depth_temperature": 0.0}
pytestmark = pytest.mark.timeout(600)


def prompts_of(tiny: TinyCsm) -> list[Prompt]:
    """Sixteen, a third of them after turns with sound, of 16 to 200 positions."""
    random = np.random.default_rng(0)
    prompts: list[Prompt] = []
    for n in range(16):
        turns = [
            ContextTurn(turn % 2, "Salam", random.integers(1, 32, (7 * n + 5, tiny.config.num_codebooks), np.int16))
            for turn in range(n % 3)
        ]
        prompts.append(tiny.builder.build("Söz " * (n + 1), speaker=0, context=turns, reserve_frames=100))
    return prompts


def job(prompt: int, key: int, sampling: Mapping[str, Any] = GREEDY, **more: Any) -> dict[str, Any]:
    frames = more.pop("frames", FRAMES)
    return {"prompt": prompt, "key": key, "frames": frames, "expect": frames, "sampling": dict(sampling), **more}


def scenarios() -> list[dict[str, Any]]:
    every = [job(n, 100 + n) for n in range(16)]
    heats = [(0.9, 0.8), (0.0, 0.0), (0.5, 0.0), (1.3, 0.6), (0.0, 0.9)]  # each its own: a row must not take another's
    drawn = [
        job(n, 200 + n, {"temperature": hot, "depth_temperature": depth, "top_k": 1 + 2 * n, "seed": n})
        for n, (hot, depth) in enumerate((heats * 4)[:16])
    ]
    longest = 14
    abort = [job(n, 500 + n, frames=200, aborted=True, expect=0) for n in range(8)] + [
        job(n, 500 + n) for n in range(8, 16)
    ]
    return [
        {
            "name": "cached",
            "engine": {},
            "rounds": [
                {"jobs": every},
                {"jobs": [{**one, "key": one["key"] + 200} for one in every]},
                {"jobs": [job(longest, 400, frames=70)]},
                {"jobs": [job(longest, 401, after=400)]},
            ],
        },
        {"name": "drawn", "engine": {"enable_prefix_caching": False}, "rounds": [{"jobs": drawn}]},
        {"name": "cold", "engine": {"enable_prefix_caching": False}, "rounds": [
            {"jobs": [job(longest, 400, frames=70)]}, {"jobs": [job(longest, 401, after=400)]},
        ]},
        {
            "name": "chunked",
            "engine": {"max_num_batched_tokens": 48, "enable_prefix_caching": False},
            "rounds": [{"jobs": every}],
        },
        {
            "name": "turns",
            "engine": {"max_num_batched_tokens": 48, "max_num_seqs": 6, "turns": {"few": 1, "many": 2}},
            "rounds": [{"jobs": every}],
        },
        {
            "name": "preempted",
            "engine": {
                "num_gpu_blocks_override": 14,
                "max_model_len": 256,
                "enable_prefix_caching": False,
                "frame_s": 0.0,  # nobody is ever ahead and rests, so that all want their blocks at once
            },
            "rounds": [{"jobs": [job(n, 600 + n, frames=30) for n in range(8)]}],
        },
        {
            "name": "aborted",
            "engine": {},
            "rounds": [{"jobs": abort, "aborts": {str(500 + n): 3 for n in range(8)}}, {"jobs": every}],
        },
        {
            "name": "ends",
            "engine": {},
            "checkpoint": "ends",
            "rounds": [{"jobs": [job(n, 1 + n, frames=50, expect=0, ends=True) for n in (0, 1)]}],
        },
        {
            "name": "mute",
            "engine": {},
            "checkpoint": "mute",
            "rounds": [{"jobs": [job(n, 1 + n, frames=100, expect=SILENCE_FRAMES, ends=True) for n in (0, 1)]}],
        },
        {"name": "adapted", "engine": {"adapter": "adapter"}, "rounds": [{"jobs": every}]},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyCsm:
    with torch.no_grad():
        return make_tiny(tmp_path_factory.mktemp("vllm") / "tiny")


def write_zeroed(tiny: TinyCsm, name: str, *parts: str) -> None:
    """Write the checkpoint beside itself with some of its tensors zero."""
    folder = shutil.copytree(tiny.folder, tiny.folder.with_name(name))
    weights = load_file(folder / "model.safetensors")
    for part in parts:
        weights[part].zero_()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="module")
def said(tiny: TinyCsm) -> Mapping[str, np.ndarray]:
    """All scenarios in one process of vLLM's environment."""
    place = tiny.folder.parent
    arrays = {f"tokens/{n}": prompt.tokens for n, prompt in enumerate(prompts_of(tiny))}
    arrays |= {f"codes/{n}": prompt.codes for n, prompt in enumerate(prompts_of(tiny))}
    np.savez(place / "prompts.npz", **arrays)
    write_zeroed(tiny, "ends", "lm_head.weight", "depth_decoder.codebooks_head.weight")
    write_zeroed(tiny, "mute", *(f"codec_model.decoder.layers.14.conv.{part}" for part in ("weight", "bias")))
    write_tiny_adapter(place / "adapter")
    (place / "scenarios.json").write_text(json.dumps(scenarios()))
    script = Path(__file__).with_name("vllm_scenarios.py")
    arguments = [place, place / "prompts.npz", place / "scenarios.json", place / "said.npz"]
    run_in_vllm(script, arguments, plugins=place, environment={"VLLM_ENABLE_V1_MULTIPROCESSING": "0"})
    with np.load(place / "said.npz") as said:
        return {name: said[name] for name in said.files}


def expected(tiny: TinyCsm, jobs: list[dict[str, Any]], *, model: CsmModel | None = None) -> list[list[list[int]]]:
    prompts = prompts_of(tiny)
    with torch.no_grad():
        codes = generate(
            model or tiny.model,
            [prompts[one["prompt"]] for one in jobs],
            [Sampling(**one["sampling"]) for one in jobs],
            jobs[0]["frames"],
        )
    return codes.tolist()


def jobs_of(name: str, step: int = 0) -> list[dict[str, Any]]:
    [scenario] = [scenario for scenario in scenarios() if scenario["name"] == name]
    return scenario["rounds"][step]["jobs"]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("cached", 0),
        ("cached", 2),
        ("cold", 0),
        ("drawn", 0),
        ("chunked", 0),
        ("turns", 0),
        ("preempted", 0),
        ("aborted", 1),
    ],
    ids=["sixteen", "alone", "alone, nothing cached", "drawn", "chunked", "in turns", "preempted", "after aborts"],
)
def test_codes_are_those_of_the_model_by_itself(tiny: TinyCsm, said: Mapping[str, np.ndarray], name: str, step: int):
    jobs = jobs_of(name, step)
    for one, codes in zip(jobs, expected(tiny, jobs), strict=True):
        assert said[f"{name}/{one['key']}/codes"].tolist() == codes, one


def test_beginnings_had_steps_of_their_own_where_more_than_a_few_spoke(said: Mapping[str, np.ndarray]):
    assert said["turns/beginnings_alone"] > 0
    assert said["chunked/beginnings_alone"] == 0


def test_where_many_more_spoke_they_had_two_steps_in_a_row(said: Mapping[str, np.ndarray]):
    assert said["turns/waited"] == 2


def test_preemption_happened(said: Mapping[str, np.ndarray]):
    assert said["preempted/preempted"] > 0
    assert said["cached/preempted"] == 0


def test_most_frames_are_scheduled_without_vllm_and_none_where_blocks_are_short(said: Mapping[str, np.ndarray]):
    assert said["cached/steady"] > 100
    assert said["preempted/steady"] == 0


def test_a_prompt_said_again_comes_from_the_prefix_cache_with_the_same_codes(
    said: Mapping[str, np.ndarray], tiny: TinyCsm
):
    for one in jobs_of("cached", 1):
        before = said[f"cached/{one['key'] - 200}/codes"]
        assert np.array_equal(said[f"cached/{one['key']}/codes"], before)
        length = len(prompts_of(tiny)[one["prompt"]])
        assert said[f"cached/{one['key']}/cached"] == (length - 1) // BLOCK * BLOCK


def test_a_later_turn_finds_the_frames_just_generated_in_the_cache(said: Mapping[str, np.ndarray], tiny: TinyCsm):
    before = len(prompts_of(tiny)[14])
    assert said["cached/401/cached"] >= before + 70 - BLOCK
    assert said["cold/401/cached"] == 0
    assert np.array_equal(said["cached/400/codes"], said["cold/400/codes"])
    assert np.array_equal(said["cached/401/codes"], said["cold/401/codes"])


def test_aborted_streams_stop_and_their_slots_are_used_again(said: Mapping[str, np.ndarray]):
    for key in range(500, 508):
        assert 3 <= len(said[f"aborted/{key}/codes"]) <= 5
    assert said["aborted/slots_held"] <= 16


def test_a_model_that_ends_at_once_says_nothing_and_is_over(said: Mapping[str, np.ndarray]):
    for key in (1, 2):
        assert said[f"ends/{key}/ended"]
        assert len(said[f"ends/{key}/codes"]) == 0


def test_a_stream_that_falls_silent_is_ended(said: Mapping[str, np.ndarray]):
    for key in (1, 2):
        assert said[f"mute/{key}/ended"]
        assert len(said[f"mute/{key}/codes"]) == SILENCE_FRAMES


def test_an_adapter_is_merged_into_what_vllm_loads_and_into_what_it_does_not(
    said: Mapping[str, np.ndarray], tiny: TinyCsm
):
    model = CsmModel(tiny.config)
    load_csm(model, Checkpoint(tiny.folder, adapter=tiny.folder.with_name("adapter")))
    jobs = jobs_of("adapted")
    for one, codes in zip(jobs, expected(tiny, jobs, model=model), strict=True):
        assert said[f"adapted/{one['key']}/codes"].tolist() == codes, one
        assert said[f"cached/{one['key']}/codes"].tolist() != codes


def test_the_sound_is_that_of_the_codec_in_one_shot(said: Mapping[str, np.ndarray], tiny: TinyCsm):
    codes = torch.from_numpy(said["cached/400/codes"].astype(np.int64)).clamp(max=31).T[None]
    with torch.no_grad():
        samples = tiny.reference.codec_model.decode(codes).audio_values[0, 0].clamp(-1, 1)
    difference = said["cached/400/pcm"] - (samples * 32767).numpy()
    assert (len(difference), np.abs(difference).max() < 4) == (70 * 1920, True)


def test_the_hooks_of_the_gpu_runner_are_those_it_was_written_for(said: Mapping[str, np.ndarray]):
    """It needs a GPU to run, but not to be looked at; a mismatch raises in vLLM's environment."""
    assert said["hooks"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("two GPUs", "one GPU"),
        ("speculation", "neither speculative decoding nor"),
        ("LoRA", "vLLM's LoRA"),
        ("runner", "this runner does not know CSM"),
    ],
)
def test_an_engine_that_cannot_run_csm_says_so(said: Mapping[str, np.ndarray], asked: str, told: str):
    assert told in str(said[f"refused/{asked}"])


def test_prompts_with_sound_are_among_those_compared(tiny: TinyCsm):
    assert sum(AUDIO in prompt.tokens for prompt in prompts_of(tiny)) >= 10
