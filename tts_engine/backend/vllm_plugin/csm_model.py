"""CSM's class for vLLM: its Llama as the backbone, ours for the rest. Runs in vLLM's worker only."""
# vLLM is not installed where types are checked:
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.logger import init_logger
from vllm.model_executor.models.llama import LlamaModel
from vllm.model_executor.models.utils import maybe_prefix
from vllm.sequence import IntermediateTensors

from tts_engine.backend.vllm_plugin.frame_graphs import FrameGraphs
from tts_engine.backend.vllm_plugin.outlet import DirectOutlet, RingOutlet, Send, SocketSender
from tts_engine.backend.vllm_plugin.runtime import CsmRuntime, Limits
from tts_engine.backend.vllm_plugin.wire import RowFormat
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.frame import FrameDecoder
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.precision import faithful
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.weights import load_frame_decoder

logger = init_logger(__name__)


class CsmForVllm(nn.Module):
    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        self.settings = vllm_config.additional_config["csm"]
        self.folder = resolve(vllm_config.model_config.model)
        self.config = CsmConfig.read(self.folder)
        self.backbone = LlamaModel(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "backbone"))
        self.backbone.embed_tokens = nn.Identity()  # never used: what goes in is in `runtime.embeddings`
        self.frames = FrameDecoder(self.config)
        self.mimi = MimiDecoder(self.config.mimi).to(torch.float32)
        self.make_empty_intermediate_tensors = self.backbone.make_empty_intermediate_tensors
        self.runtime: CsmRuntime | None = None

    @staticmethod
    def get_model_state_cls() -> type:
        from tts_engine.backend.vllm_plugin.runner_v2 import CsmState  # noqa: PLC0415 - needs a GPU's vLLM

        return CsmState

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """Asked for by vLLM's interface check, never called."""
        return self.frames.text_table[input_ids]

    def forward(
        self,
        input_ids: Tensor,  # noqa: ARG002 - vLLM's signature
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,  # noqa: ARG002 - as above
    ) -> Tensor:
        """States of the positions whose embeddings the runner has put in place, at the same address in every step."""
        if self.runtime is None:
            raise RuntimeError("this runner does not know CSM: see tts_engine.backend.vllm_plugin.runner_v1 and _v2")
        return self.backbone(None, positions, intermediate_tensors, self.runtime.embeddings[: positions.shape[0]])

    def compute_logits(self, hidden_states: Tensor) -> Tensor:
        """Pass the states on: the sampler has the heads."""
        return hidden_states

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:  # noqa: ARG002 - see below
        """Load by our own map; vLLM's iterator merges no adapter and takes every file of the folder."""
        adapter = self.settings.get("adapter")
        checkpoint = Checkpoint(self.folder, adapter=Path(adapter) if adapter else None)
        load_frame_decoder(self.frames, checkpoint)
        load_decoder(self.mimi, checkpoint)
        self.mimi.to(self._codec_dtype())
        prefix = "backbone_model."
        names = (name for name in checkpoint.names(prefix) if "embed_tokens" not in name)
        self.backbone.load_weights((name.removeprefix(prefix), checkpoint.tensor(name)) for name in names)
        return {name for name, _ in self.named_parameters()}

    def _codec_dtype(self) -> torch.dtype:
        if asked := self.settings.get("codec_dtype"):
            return getattr(torch, asked)
        if not self.frames.audio_table.is_cuda:
            return torch.float32
        if faithful(self.mimi, torch.float16):
            return torch.float16
        logger.warning("this checkpoint's codec does not fit float16; it runs in float32, at half the speed")
        return torch.float32

    def start(self, vllm_config: VllmConfig, send: Send | None = None) -> CsmRuntime:
        """Allocate what requests carry; to be called by the runner once the weights are there."""
        scheduler = vllm_config.scheduler_config
        requests = scheduler.max_num_seqs
        tokens = max(scheduler.max_num_batched_tokens, requests) + requests  # steps are padded to a captured size
        limits = Limits(requests, vllm_config.model_config.max_model_len, tokens, spare_slots=requests // 8 + 1)
        send = send or SocketSender(Path(self.settings["socket"]), gone=_leave)
        width = RowFormat(self.config.mimi.frame_samples, self.config.num_codebooks).width
        on_gpu = self.frames.audio_table.is_cuda
        outlet = RingOutlet(send, rows=limits.slots, width=width) if on_gpu else DirectOutlet(send)
        self.runtime = CsmRuntime(
            self.frames, self.mimi, limits, outlet, send,
            depth_alone=self.settings.get("depth_alone", True), codec_fused=self.settings.get("codec_fused", False),
        )  # fmt: skip
        logger.info("depth decoder: %s; codec: %s", self.runtime.depth, self.runtime.codec)
        return self.runtime

    def graphs(self, hidden: Tensor) -> FrameGraphs:
        assert self.runtime is not None
        return FrameGraphs(self.runtime, hidden)


def _leave() -> None:
    """End this process, whatever it is doing: who it speaks for is gone, and no vLLM of any version notices."""
    os._exit(1)
