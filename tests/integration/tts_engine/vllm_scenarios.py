"""Runs in the environment of tests/vllm_env.sh: jobs through vLLM's engine, for the tests to compare.

argv: a folder of checkpoints, which scenarios name, and of an adapter, prompts (.npz of "tokens/N" and "codes/N"),
scenarios (.json), where the results go (.npz).
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from vllm import LLM, SamplingParams
from vllm.sampling_params import RequestOutputKind

from tts_engine.backend.vllm_plugin.ids import STOP_ID, FrameIds, prompt_ids
from tts_engine.backend.vllm_plugin.inlet import Inlet
from tts_engine.backend.vllm_plugin.runner_v2 import check_config, check_hooks
from tts_engine.backend.vllm_plugin.runners import admit_any_id
from tts_engine.backend.vllm_plugin.scheduler import check_scheduler
from tts_engine.backend.vllm_plugin.turns import For
from tts_engine.backend.vllm_plugin.wire import ENDED, SPOKE, Keys, RowFormat, Rows
from tts_engine.model.config import CsmConfig
from tts_engine.model.prompt import AUDIO, Prompt


class Listener:
    """What was heard, by key."""

    def __init__(self, row_format: RowFormat) -> None:
        self._format, self._changed = row_format, threading.Condition()
        self.rows: dict[int, list[np.ndarray]] = {}
        self.ended: set[int] = set()

    def take(self, keys: Keys, rows: Rows) -> None:
        with self._changed:
            for key, row in zip(keys.tolist(), rows, strict=True):
                if row[-1] & SPOKE:
                    self.rows.setdefault(key, []).append(row.copy())
                if row[-1] & ENDED:
                    self.ended.add(key)
            self._changed.notify_all()

    def wait(self, key: int, frames: int, *, ended: bool) -> None:
        def there() -> bool:
            return len(self.rows.get(key, [])) >= frames and (key in self.ended or not ended)

        with self._changed:
            assert self._changed.wait_for(there, timeout=30), key

    def codes(self, key: int) -> np.ndarray:
        start = self._format.samples
        rows = self.rows.get(key, [])
        return np.array([row[start : start + self._format.codebooks] for row in rows], np.int16)

    def pcm(self, key: int) -> np.ndarray:
        return np.concatenate([row[: self._format.samples] for row in self.rows.get(key, [])])


def make_engine(folder: str, path: Path, settings: dict[str, Any]) -> LLM:
    settings = dict(settings)
    # frames that pass for long ones: a stream is two seconds ahead after four, and rests while others begin
    frame_s, adapter = settings.pop("frame_s", 0.5), settings.pop("adapter", "")
    csm = {"socket": str(path), "frame_s": frame_s, "adapter": adapter, "turns": settings.pop("turns", {"few": 100})}
    defaults: dict[str, Any] = {
        "max_model_len": 512,
        "max_num_seqs": 16,
        "block_size": 32,
        "worker_cls": "tts_engine.backend.vllm_plugin.runner_v1.CsmCpuWorker",
    }
    return LLM(
        model=folder, skip_tokenizer_init=True, dtype="float32", seed=0, enforce_eager=True, disable_log_stats=False,
        kv_cache_memory_bytes=32 << 20,
        scheduler_cls="tts_engine.backend.vllm_plugin.scheduler.LeadAwareScheduler",
        additional_config={"csm": csm}, **{**defaults, **settings},
    )  # fmt: skip


def submit(engine: Any, job: dict[str, Any], prompt: Prompt, frame_ids: FrameIds) -> None:
    extra = {"key": job["key"], "sampling": job["sampling"], "frames": prompt.codes[prompt.tokens == AUDIO].tobytes()}
    params = SamplingParams(
        temperature=0.0, max_tokens=job["frames"], stop_token_ids=[STOP_ID], detokenize=False,
        extra_args={"csm": extra}, output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip
    engine.add_request(str(job["key"]), {"prompt_token_ids": prompt_ids(prompt, frame_ids)}, params)


def serve(engine: Any, listener: Listener, aborts: dict[str, int]) -> dict[int, int]:
    """Run until all is said; aborts[key] is after how many frames. How many ids of each came from the cache."""
    cached: dict[int, int] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            cached[int(output.request_id)] = output.num_cached_tokens or 0
        for key in [key for key, frames in aborts.items() if len(listener.rows.get(int(key), [])) >= frames]:
            engine.abort_request([key])
            del aborts[key]
    return cached


def run(folder: str, prompts: list[Prompt], scenario: dict[str, Any], results: dict[str, np.ndarray]) -> None:
    config = CsmConfig.read(Path(folder))
    listener = Listener(RowFormat(config.mimi.frame_samples, config.num_codebooks))
    frame_ids, cached = FrameIds(config.num_codebooks), dict[int, int]()
    engine_settings = dict(scenario["engine"])
    if "adapter" in engine_settings:
        engine_settings["adapter"] = str(Path(folder).parent / engine_settings["adapter"])
    with tempfile.TemporaryDirectory() as place:
        inlet = Inlet(Path(place) / "frames.sock", listener.take, lambda: None)
        llm = make_engine(folder, Path(place) / "frames.sock", engine_settings)
        engine = llm.llm_engine
        admit_any_id(engine)
        steady = count_steady(engine.engine_core.engine_core.scheduler)
        turns = count_turns(engine.engine_core.engine_core.scheduler)
        for step in scenario["rounds"]:
            for job in step["jobs"]:
                prompt = prompts[job["prompt"]]
                if "after" in job:  # a later turn: the frames that were just heard, and more text
                    prompt = continued(prompt, listener.codes(job["after"]))
                submit(engine, job, prompt, frame_ids)
            cached |= serve(engine, listener, step.get("aborts", {}))
            for job in step["jobs"]:
                listener.wait(job["key"], job["expect"], ended=job.get("ends", False))
        results |= heard(scenario, listener, cached)
        name = scenario["name"]
        preempted = sum(metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions")
        runtime = engine.model_executor.driver_worker.worker.model_runner.csm
        results[f"{name}/preempted"] = np.array(preempted)
        results[f"{name}/steady"] = np.array(sum(steady))
        results[f"{name}/waited"] = np.array(longest_wait(turns))
        results[f"{name}/beginnings_alone"] = np.array(sum(whose is For.BEGINNINGS for whose, _ in turns))
        results[f"{name}/slots_held"] = np.array(len(runtime._key_of))
        del llm, engine, runtime
        gc.collect()
        inlet.close()


def count_steady(scheduler: Any) -> list[int]:
    """How many requests each step was steady for, filled as they come."""
    counts: list[int] = []
    schedule = scheduler._steady.schedule

    def counted(steady: list[Any], *rest: Any) -> None:
        counts.append(len(steady))
        schedule(steady, *rest)

    scheduler._steady.schedule = counted
    return counts


def count_turns(scheduler: Any) -> list[tuple[For, int]]:
    """Who each step was for and how many waited to begin, filled as they come."""
    had: list[tuple[For, int]] = []
    choose = scheduler._turns.next

    def counted(**named: int) -> For:
        had.append((choose(**named), named["waiting"]))
        return had[-1][0]

    scheduler._turns.next = counted
    return had


def longest_wait(turns: list[tuple[For, int]]) -> int:
    """Most steps in a row that those who waited to begin had no part in."""
    longest = wait = 0
    for whose, waiting in turns:
        wait = wait + 1 if waiting and whose is For.SPEECH else 0
        longest = max(longest, wait)
    return longest


def heard(scenario: dict[str, Any], listener: Listener, cached: dict[int, int]) -> dict[str, np.ndarray]:
    results: dict[str, np.ndarray] = {}
    for key in [job["key"] for step in scenario["rounds"] for job in step["jobs"]]:
        name = f"{scenario['name']}/{key}"
        results[f"{name}/codes"] = listener.codes(key)
        results[f"{name}/pcm"] = listener.pcm(key) if listener.rows.get(key) else np.zeros(0, np.int16)
        results[f"{name}/cached"] = np.array(cached.get(key, -1))
        results[f"{name}/ended"] = np.array(key in listener.ended)
    return results


def continued(prompt: Prompt, said: np.ndarray) -> Prompt:
    zeros = np.zeros((1, said.shape[1]), np.int16)
    text = np.array([7, 8, 9], np.int32)
    return Prompt.of(
        np.concatenate([prompt.tokens, np.full(len(said) + 1, AUDIO, np.int32), text]),
        np.concatenate([prompt.codes, said, zeros, np.zeros((3, said.shape[1]), np.int16)]),
    )


def refusals(folder: str) -> dict[str, np.ndarray]:
    """What is said of engines that cannot run CSM: two GPUs, speculation, LoRA, and a runner that is not ours."""
    said: dict[str, np.ndarray] = {}
    allowed = {"parallel_config": SimpleNamespace(world_size=1), "speculative_config": None, "lora_config": None}
    for name, wrong in (
        ("two GPUs", {"parallel_config": SimpleNamespace(world_size=2)}),
        ("speculation", {"speculative_config": object()}),
        ("LoRA", {"lora_config": object()}),
    ):
        with refused() as caught:
            check_config(SimpleNamespace(**{**allowed, **wrong}))
        said[f"refused/{name}"] = np.array(caught)
    with tempfile.TemporaryDirectory() as place, refused() as caught:
        inlet = Inlet(Path(place) / "frames.sock", lambda *_: None, lambda: None)
        llm = make_engine(folder, Path(place) / "frames.sock", {"worker_cls": "auto"})
        try:
            llm.generate(
                {"prompt_token_ids": [5, 6, 7]}, SamplingParams(max_tokens=2, detokenize=False), use_tqdm=False
            )
        finally:
            del llm
            gc.collect()
            inlet.close()
    said["refused/runner"] = np.array(caught)
    return said


@contextmanager
def refused() -> Iterator[list[str]]:
    """Keep what a RuntimeError says; that there is none is an error. There is no pytest in this environment."""
    caught: list[str] = []
    try:
        yield caught
    except RuntimeError as error:
        caught.append(str(error))
    assert caught


def main() -> None:
    place, prompts_path, scenarios_path, results_path = sys.argv[1:]
    arrays = np.load(prompts_path)
    count = len(arrays.files) // 2
    prompts = [Prompt.of(arrays[f"tokens/{n}"], arrays[f"codes/{n}"]) for n in range(count)]
    check_hooks()
    check_scheduler()
    results: dict[str, np.ndarray] = {"hooks": np.array(True), **refusals(f"{place}/tiny")}
    for scenario in json.loads(Path(scenarios_path).read_text()):
        begun = time.monotonic()
        run(f"{place}/{scenario.get('checkpoint', 'tiny')}", prompts, scenario, results)
        print(scenario["name"], f"{time.monotonic() - begun:.1f} s", flush=True)
    np.savez(results_path, **results)


if __name__ == "__main__":
    main()
