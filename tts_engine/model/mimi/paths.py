"""Which kernels decode the codec's frames on a GPU: those of `whole_frame`, where they are there, fit and agree."""

# pyright: basic, reportMissingImports=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from tts_engine.model.mimi.decoder import Decode, MimiDecoder
from tts_engine.model.mimi.precision import says_the_same


def fused(decoder: MimiDecoder) -> tuple[Decode, str]:
    """Return the way to decode one frame a call, and what it is, for the log. To be asked when the weights are loaded.

    The kernels are tried on these weights first, and must say what plain PyTorch says.
    """
    try:
        from triton.errors import TritonError  # noqa: PLC0415  # Triton comes with CUDA builds only

        from tts_engine.model.mimi.seanet import UnsupportedCodecError  # noqa: PLC0415  # as above
        from tts_engine.model.mimi.whole_frame import WholeFrame  # noqa: PLC0415  # as above
    except ImportError as error:
        return decoder, f"plain PyTorch: {error}"
    try:
        whole = WholeFrame(decoder)
        if says_the_same(whole, decoder):
            return whole, "fused kernels"
    except (UnsupportedCodecError, TritonError) as error:
        return decoder, f"plain PyTorch: {error}"
    return decoder, "plain PyTorch: the fused kernels say something else"
