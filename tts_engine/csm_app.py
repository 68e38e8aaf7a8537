"""The part of the composition root that CSM needs: its engine, its voice, and the engine served by itself.

Imported when CSM is asked for: espeak-ng needs no torch.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import torch

from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.csm_engine import CsmEngine
from tts_engine.backend.csm_engines import describe, remote_engine, torch_engine, vllm_engine
from tts_engine.backend.csm_voice import csm_voice
from tts_engine.backend.engine_host import EngineHost
from tts_engine.backend.vllm_engine import VllmSettings
from tts_engine.collector import collect_in_silence, hold_back
from tts_engine.errors import SpeechUnavailableError
from tts_engine.listener import listening_at
from tts_engine.log import set_up_logging
from tts_engine.model.checkpoint import resolve
from tts_engine.model.sampling import Sampling
from tts_engine.settings import CsmSettings, TtsSettings

_Runtime = Literal["torch", "vllm"]


def csm_backend(csm: CsmSettings, runtime: _Runtime) -> CsmBackend:
    """Make the voice that speaks by an engine here, or by the one at `engine_socket`."""
    csm = _resolved(csm)
    if csm.engine_socket is None:
        engine: CsmEngine = _engine(csm, runtime)
    else:
        engine = remote_engine(csm.model, csm.engine_socket, adapter=csm.adapter, positions=csm.positions)
    return csm_voice(
        engine,
        csm.model,
        name=runtime,
        adapter=csm.adapter,
        positions=csm.positions,
        voices=csm.voices,
        encoder_device=csm.device,
        sampling=Sampling(csm.temperature, csm.depth_temperature, csm.top_k),
        piece_chars=csm.piece_chars,
        hears_conversation=csm.hears_conversation,
    )


async def serve_engine(settings: TtsSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve an engine to the speech servers of this machine until a signal ends it; `on_ready` is told where.

    The first signal waits `drain_timeout_s` for what is spoken, a second one for nothing. Raises
    `SpeechUnavailableError` if it cannot start.
    """
    set_up_logging(level="INFO", process="tts-engine")
    csm, runtime, path = settings.csm, settings.backend, settings.csm.engine_socket
    if path is None:
        raise SpeechUnavailableError("[tts.csm] engine_socket says where an engine is served; it is not set")
    if runtime == "espeak":
        raise SpeechUnavailableError("backend espeak has no engine to serve; set [tts] backend to vllm or torch")
    host = _host(csm, runtime)
    signals: list[int] = []

    async def leave() -> None:
        with suppress(TimeoutError):  # what is still spoken is cut
            async with asyncio.timeout(settings.drain_timeout_s):
                await host.drain()
        serving.cancel()

    def end() -> None:
        signals.append(1)
        if len(signals) == 1:
            tasks.add(asyncio.create_task(leave()))
        else:
            serving.cancel()

    def began() -> None:  # until now a signal ends the process: nobody is spoken to
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end)
        hold_back()
        tasks.add(asyncio.create_task(collect_in_silence(lambda: host.streams, time.monotonic)))
        on_ready(str(path))

    with listening_at(path) as listener:
        serving = asyncio.create_task(host.run(listener, began))
        tasks = {serving}
        try:
            await serving
        except asyncio.CancelledError:
            if not signals:
                raise
        finally:
            await host.close()


def _host(csm: CsmSettings, runtime: _Runtime) -> EngineHost:
    try:
        csm = _resolved(csm)
        engine = _engine(csm, runtime)
        described = describe(csm.model, adapter=csm.adapter, positions=csm.positions, streams=engine.capacity)
    except Exception as error:  # a checkpoint that is missing or does not fit
        raise SpeechUnavailableError(f"engine {runtime!r} cannot be made: {error}") from error
    return EngineHost(engine, described)


def _resolved(csm: CsmSettings) -> CsmSettings:
    """Name the model by its folder: the hub is asked once, and not by each part that reads of it."""
    return csm.model_copy(update={"model": str(resolve(csm.model))})


def _engine(csm: CsmSettings, runtime: _Runtime) -> CsmEngine:
    if runtime == "torch":
        return torch_engine(
            csm.model,
            adapter=csm.adapter,
            slots=csm.streams or 4,
            positions=csm.positions,
            device=csm.device,
            dtype=getattr(torch, csm.dtype or "float32"),
        )
    settings = VllmSettings(
        streams=csm.streams or 256,
        positions=csm.positions,
        memory=csm.gpu_memory,
        dtype=csm.dtype or "bfloat16",
        codec_dtype=csm.codec_dtype or "",
        adapter=csm.adapter,
        depth_alone=csm.depth_alone,
        codec_fused=csm.codec_fused,
        hung_after_s=csm.hung_after_s,
    )
    return vllm_engine(csm.model, settings)
