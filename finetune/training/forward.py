"""CSM's two transformers over a batch: the library's layers, called without the library's forward around them.

That forward makes a mask for each batch, which keeps attention from its fast kernels and makes the host wait for the
device; and without one, transformers 5 fails when there are as many frames as codebooks (it takes one for the other).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor

from finetune.training.batch import Batch


def backbone_states(csm: Any, batch: Batch, kept: Tensor | None = None) -> Tensor:  # noqa: ANN401 - the library's
    """States [B * S, hidden] after the backbone's last norm; the one before a frame predicts it.

    `kept` [F, codebooks] of 0 and 1 says what is shown to the backbone of the frames; None shows all.
    """
    text = csm.embed_text_tokens(batch.tokens)
    sound = audio_sums(csm.backbone_model.embed_tokens, batch.codes, kept)
    embedded = text.flatten(0, 1).index_copy(0, batch.places, sound.to(text.dtype)).view_as(text)
    return _through(csm.backbone_model, embedded).flatten(0, 1)


def audio_sums(embedding: Any, codes: Tensor, kept: Tensor | None = None) -> Tensor:  # noqa: ANN401 - as above
    """Sum of a frame's embeddings [F, hidden], without the 32 of each frame beside each other in memory."""
    rows, table = codes + embedding.audio_tokens_offsets, embedding.embed_audio_tokens.weight
    weights = None if kept is None else kept.to(table.dtype)
    return fn.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)


def shown(codes: Tensor, share: float) -> Tensor | None:
    """Draw what the backbone is shown of frames [F, codebooks]: all, or for a share of them the first few codebooks.

    A frame's finer codes are its fingerprint: a model that knows the corpus by them does not look at its text.
    """
    if share == 0.0:
        return None
    frames, codebooks = codes.shape
    few = torch.randint(1, codebooks, (frames, 1), device=codes.device)
    whole = torch.rand(frames, 1, device=codes.device) >= share
    return whole | (torch.arange(codebooks, device=codes.device) < few)


def depth_states(csm: Any, states: Tensor, codes: Tensor) -> Tensor:  # noqa: ANN401 - as above
    """States [N, K - 1, hidden] that predict codebooks 1.. of N frames, given the backbone's state and codes [N, K]."""
    model = csm.depth_decoder.model
    known = codes.shape[1] - 1
    offsets = torch.arange(known, device=codes.device) * csm.config.vocab_size
    embedded = model.embed_tokens(codes[:, :known] + offsets)
    # a new tensor, not a write in place: that is what breaks under gradient checkpointing
    inputs = torch.cat((states[:, None].to(embedded.dtype), embedded), dim=1)
    return _through(model, model.inputs_embeds_projector(inputs))[:, 1:]


def _through(model: Any, hidden: Tensor) -> Tensor:  # noqa: ANN401 - as above
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    rotation = model.rotary_emb(hidden, positions)
    for layer in model.layers:
        hidden = layer(hidden, attention_mask=None, position_ids=positions, position_embeddings=rotation)
    return model.norm(hidden)


def compile_layers(csm: Any, *, backend: str = "inductor") -> None:  # noqa: ANN401 - as above
    """Have torch fuse what is in a layer; all layers of a transformer share one compilation, for any batch."""
    for layer in (*csm.backbone_model.layers, *csm.depth_decoder.model.layers):
        layer.compile(dynamic=True, backend=backend)
