"""What the GPU scripts share: a CSM-1B without weights, a listener, vLLM's engine in this process."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tts_engine.backend.vllm_plugin import register
from tts_engine.backend.vllm_plugin.ids import STOP_ID, FrameIds, prompt_ids
from tts_engine.backend.vllm_plugin.inlet import Inlet
from tts_engine.backend.vllm_plugin.runners import capture_sizes
from tts_engine.backend.vllm_plugin.wire import ENDED, SPOKE, Keys, RowFormat, Rows
from tts_engine.model.config import CsmConfig
from tts_engine.model.prompt import AUDIO, Prompt


def write_csm_1b_config(folder: Path) -> Path:
    """A checkpoint folder with the sizes of sesame/csm-1b and no weights, for `load_format="dummy"`."""
    config = {"architectures": ["CsmForConditionalGeneration"], "model_type": "csm", "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def fill_randomly(module: torch.nn.Module) -> torch.nn.Module:
    """Weights of a size that keeps activations finite."""
    for parameter in module.parameters():
        parameter.data.normal_(std=0.02 if parameter.dim() > 1 else 1.0)
    return module


@dataclass(slots=True)
class Listener:
    """Rows by key, in the order of their coming."""

    row_format: RowFormat
    rows: dict[int, list[Rows]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    first_at: dict[int, float] = field(default_factory=dict)
    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, keys: Keys, rows: Rows) -> None:
        now = time.perf_counter()
        with self.changed:
            for key, row in zip(keys.tolist(), rows, strict=True):
                if row[-1] & SPOKE and key >= 0:
                    self.rows.setdefault(key, []).append(row.copy())
                    self.first_at.setdefault(key, now)
                    self.count += 1
                if row[-1] & ENDED:
                    self.ended.add(key)
            self.changed.notify_all()

    def wait(self, count: int) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: self.count >= count, timeout=60):
                raise TimeoutError(f"{self.count} of {count} frames came")

    def codes(self, key: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        start = self.row_format.samples
        return np.array([row[start : start + self.row_format.codebooks] for row in self.rows.get(key, [])], np.int16)

    def forget(self) -> None:
        with self.changed:
            self.rows.clear()
            self.first_at.clear()
            self.ended.clear()
            self.count = 0


@dataclass(slots=True)
class Stand:
    """vLLM's engine and what it says."""

    engine: Any
    runner: Any
    listener: Listener
    config: CsmConfig

    def submit(
        self, key: int, prompt: Prompt, frames: int, sampling: Mapping[str, Any], *, ignore_end: bool = False
    ) -> None:
        from vllm import SamplingParams  # noqa: PLC0415 - on a GPU host only
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415 - as above

        extra = {"key": key, "sampling": dict(sampling), "frames": prompt.codes[prompt.tokens == AUDIO].tobytes()}
        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=frames,
            stop_token_ids=[] if ignore_end else [STOP_ID],
            ignore_eos=True,
            detokenize=False,
            extra_args={"csm": extra},
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        ids = prompt_ids(prompt, FrameIds(self.config.num_codebooks))
        self.engine.add_request(str(key), {"prompt_token_ids": ids}, parameters)

    def run(self) -> dict[int, int]:
        """Step until all is said; how many ids of each request came from the prefix cache."""
        cached: dict[int, int] = {}
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                cached[int(output.request_id)] = output.num_cached_tokens or 0
        return cached


@contextmanager
def vllm_stand(folder: Path, **settings: Any) -> Iterator[Stand]:
    """Start vLLM with CSM in this process (the registry's look at the class runs in another, hence PYTHONPATH)."""
    root = Path(__file__).parents[2]
    os.environ["PYTHONPATH"] = f"{root}:{os.environ.get('PYTHONPATH', '')}"
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_USE_V2_MODEL_RUNNER": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
        "HF_HUB_OFFLINE": "1",
    }
    from vllm import LLM  # noqa: PLC0415 - after the environment is set

    register()
    config = CsmConfig.read(folder)
    listener = Listener(RowFormat(config.mimi.frame_samples, config.num_codebooks))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "frames.sock"
        inlet = Inlet(path, listener.take, lambda: None)
        plugin: dict[str, Any] = {"socket": str(path), "codec_dtype": settings.pop("codec_dtype", "bfloat16")}
        plugin["depth_alone"] = settings.pop("depth_alone", True)
        plugin["codec_fused"] = settings.pop("codec_fused", False)
        plugin |= {name: settings.pop(name) for name in ("turns",) if name in settings}
        defaults: dict[str, Any] = {
            "max_model_len": 2048,
            "max_num_batched_tokens": 8192,
            "gpu_memory_utilization": 0.85,
        }
        if "max_num_seqs" in settings:
            defaults["compilation_config"] = {"cudagraph_capture_sizes": capture_sizes(settings["max_num_seqs"])}
        llm = LLM(
            model=str(folder),
            skip_tokenizer_init=True,
            disable_log_stats=True,
            additional_config={"csm": {**plugin, "frame_s": 1 / config.mimi.frame_rate_hz}},
            **{**defaults, **settings},
        )
        runner = llm.llm_engine.model_executor.driver_worker.worker.model_runner
        yield Stand(llm.llm_engine, runner, listener, config)
        del llm
        inlet.close()
