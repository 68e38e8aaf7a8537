"""Frames of our own between the leg and the recogniser; Pipecat demands the subclasses."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame


@dataclass
class SoundFadedFrame(SystemFrame):
    """The caller's sound has fallen: what was said so far may be all (`bot.sound_trail`)."""


@dataclass
class SoundReturnedFrame(SystemFrame):
    """It was not all."""
