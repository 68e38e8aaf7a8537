"""A checkpoint of CSM-1B's and Mimi's size, laid out as the hub's, with random weights.

    python -m tests.gpu.random_csm_1b FOLDER

Made on the GPU where there is one, in bfloat16. Speed does not depend on the weights; what it says is noise.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from transformers import CsmConfig, CsmForConditionalGeneration

from tests.fakes.tiny_csm import write_tokenizer


def write_random_csm_1b(folder: Path) -> Path:
    """Write config, weights and a byte-level tokenizer; a folder that is there already is left as it is."""
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    config = CsmConfig(
        pad_token_id=ids["<|AUDIO|>"],
        bos_token_id=ids["<|begin_of_text|>"],
        audio_token_id=ids["<|AUDIO|>"],
        audio_eos_token_id=ids["<|audio_eos|>"],
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = CsmForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("embed_sum"):  # zeros would decode every code to silence, which ends a stream
                buffer.normal_()
            elif name.endswith("cluster_usage"):
                buffer.fill_(1.0)
    model.backbone_model.embed_tokens.embed_audio_tokens.weight = model.depth_decoder.model.embed_tokens.weight
    model.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    began = time.perf_counter()
    write_random_csm_1b(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {time.perf_counter() - began:.1f} s", flush=True)
