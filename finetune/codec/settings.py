"""What decides a codec: its sizes, and how it is trained."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from finetune.config import Count, Rate, Settings, Share


class CodecShape(Settings):
    """Sizes of a small Mimi at 24 kHz and 12.5 frames a second; the defaults make 7 M parameters and 1 kbit/s."""

    filters: Count = 24
    hidden: Count = 192
    layers: Count = 2
    heads: Count = 4
    feed: Count = 768
    codebooks: int = Field(default=8, ge=2)
    codes: int = Field(default=1024, ge=2)
    code_dim: Count = 128
    window: Count = 32
    """Positions (25 a second) that a transformer looks back on: no more than a crop has, or clips are news to it."""

    def config(self) -> dict[str, Any]:
        """Write it as `transformers` has it in a Mimi's `config.json`."""
        return {
            "model_type": "mimi", "architectures": ["MimiModel"], "sampling_rate": 24_000, "audio_channels": 1,
            "num_filters": self.filters, "hidden_size": self.hidden, "upsample_groups": self.hidden,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "num_key_value_heads": self.heads,
            "head_dim": self.hidden // self.heads, "intermediate_size": self.feed, "sliding_window": self.window,
            "num_quantizers": self.codebooks, "num_semantic_quantizers": 1, "codebook_size": self.codes,
            "codebook_dim": self.code_dim, "vector_quantization_hidden_dimension": self.code_dim,
            "upsampling_ratios": [8, 6, 5, 4], "frame_rate": 12.5, "use_causal_conv": True,
        }  # fmt: skip


class CodecTraining(Settings):
    """The recipe. What it was before, and how it failed, is in docs/demo-voice.md."""

    batch: Count = 64
    crop_frames: Count = 20
    learning_rate: Rate = 8e-4
    warmup_steps: Count = 200
    final_share: Share = 0.03
    clip_norm: float = Field(default=2.0, gt=0.0)
    continuous_share: Share = 0.12
    """Share of the budget before the codebooks come in: what they would code at first is noise."""
    waveform_weight: float = Field(default=0.5, ge=0.0)
    magnitude_weight: float = Field(default=0.5, ge=0.0)
    commitment_weight: float = Field(default=0.1, ge=0.0)
    spread_weight: float = Field(default=0.05, ge=0.0)
    hearing_weight: float = Field(default=1.0, ge=0.0)
    semantic_weight: float = Field(default=0.3, ge=0.0)
    check_every_steps: Count = 100
    save_every_steps: Count = 1_000
    seed: int = Field(default=0, ge=0)
