"""`python -m finetune`, which `accelerate launch -m finetune` needs."""

from __future__ import annotations

from finetune.cli import main

main()
