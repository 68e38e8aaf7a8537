"""The whole of CSM in plain PyTorch: backbone and frame decoder."""

from __future__ import annotations

from torch import nn

from tts_engine.model.backbone import Backbone
from tts_engine.model.config import CsmConfig
from tts_engine.model.frame import FrameDecoder


class CsmModel(nn.Module):
    """Codes from text and codes; sound is Mimi's affair (`tts_engine.model.mimi`)."""

    def __init__(self, config: CsmConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        self.frames = FrameDecoder(config)
