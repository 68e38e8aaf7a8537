"""A speech engine told what to say by the test, and the codec's encoder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tts_engine.backend.csm_engine import EngineEvent, Job, Sink
from tts_engine.errors import SpeechCapacityError
from tts_engine.model.prompt import Codes, Prompt
from tts_engine.model.voice import Samples


@dataclass
class FakeEngine:
    capacity: int = 2
    failure: str = ""
    broken: str = ""
    jobs: list[Job] = field(default_factory=list)
    aborted: list[int] = field(default_factory=list)
    encoded: list[Samples] = field(default_factory=list)
    read: list[Prompt] = field(default_factory=list)
    sink: Sink | None = None

    def start(self, sink: Sink) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        self.sink = sink

    def close(self) -> None:
        self.failure = "closed"

    def submit(self, job: Job) -> None:
        if len(self.jobs) - len(self.aborted) >= self.capacity:
            raise SpeechCapacityError("all taken")
        self.jobs.append(job)

    def abort(self, key: int) -> None:
        self.aborted.append(key)

    def read_ahead(self, prompt: Prompt) -> None:
        self.read.append(prompt)

    def encode(self, samples: Samples) -> Codes:
        self.encoded.append(samples)
        return np.ones((-(-len(samples) // 1920), 8), np.int16)

    def say(self, events: Sequence[EngineEvent]) -> None:
        assert self.sink is not None
        self.sink(events)
