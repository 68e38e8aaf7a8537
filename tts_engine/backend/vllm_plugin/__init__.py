"""CSM as an out-of-tree model of vLLM.

Named in the entry-point group `vllm.general_plugins`; vLLM calls `register` in each of its processes. `ids`, `wire`,
`slots`, `runtime` and `outlet` know nothing of vLLM. `csm_model`, `runner_v1` and `runner_v2` do: what depends on its
version is in the runner of that version, and both runners are thin.
"""

from __future__ import annotations


def register() -> None:
    """Tell vLLM where the model class is; it is imported in the process that runs it."""
    from vllm import ModelRegistry  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - only inside vLLM

    ModelRegistry.register_model("CsmForConditionalGeneration", "tts_engine.backend.vllm_plugin.csm_model:CsmForVllm")
