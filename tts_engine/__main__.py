"""`python -m tts_engine`: the same as `zeng tts`."""

from __future__ import annotations

from tts_engine.cli import app

app(prog_name="zeng tts")
