"""Which of vLLM's runners carries CSM on this machine, and what its front end is to let through."""

from __future__ import annotations

import os
from typing import Any

_ON_A_PROCESSOR = {
    "worker_cls": "tts_engine.backend.vllm_plugin.runner_v1.CsmCpuWorker",
    "enforce_eager": True,
    "block_size": 32,
    "kv_cache_memory_bytes": 1 << 30,  # vLLM would take most of the machine's memory: eight streams of 2,048 positions
}


def capture_sizes(streams: int) -> list[int]:
    """Batches of which vLLM is to make CUDA graphs: up to every stream and as many positions of beginnings besides.

    vLLM ends at 512 by itself, and then launches a batch of more kernel by kernel.
    """
    fine = (1, 2, 4, *range(8, 256, 8), *range(256, 512, 16))
    coarse = (*range(512, 1024, 64), *range(1024, 8193, 128))
    return sorted({*(size for size in (*fine, *coarse) if size <= 2 * streams), streams})


def positions_a_step(streams: int) -> int:
    """How many positions vLLM may put into a step: one of every stream, and twice as many of beginnings besides.

    By itself it takes 2,048 for an engine that is not its own server's. At 2,000 streams that left 48 for prompts of
    250: who began waited until others were two seconds ahead and rested (tests/bench/bench_beginnings.py).
    """
    return max(2048, 3 * streams)


def runner_arguments(streams: int) -> dict[str, Any]:
    """Arguments of vLLM's engine that choose the runner; sets what vLLM reads from the environment only."""
    from vllm.platforms import current_platform  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - not where types are checked

    if current_platform.is_cpu():
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        return dict(_ON_A_PROCESSOR)
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1"  # else vLLM may fall back with a mere warning
    return {
        "max_num_batched_tokens": positions_a_step(streams),
        "compilation_config": {"cudagraph_capture_sizes": capture_sizes(streams)},
    }


def admit_any_id(engine: Any) -> None:  # noqa: ANN401 - vLLM's, of either kind
    """Have vLLM's front end take ids above the vocabulary, as ours of text and frames are.

    Up to 0.32 it does so without a tokenizer; 0.33 refuses them. None is ever looked up in a table of vLLM's.
    """
    renderer: Any = getattr(engine.input_processor, "renderer", None)
    if hasattr(renderer, "validate_token_ids"):
        renderer.validate_token_ids = _accept


def _accept(*_: object, **__: object) -> None:
    """In place of a check."""
