"""Prometheus figures of the recogniser process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.recognition.guards import Doubt
from bot.recognition.jobs import Done

_SECONDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)


class RecogniserMetrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self, *, line_length: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "zeng_stt_requests", "Transcription requests by outcome.", ["outcome"], registry=self._registry
        )
        self._doubted = Counter(
            "zeng_stt_doubted", "Texts thrown away or cut, by reason.", ["reason"], registry=self._registry
        )
        self._seconds = Histogram(
            "zeng_stt_stage_seconds", "Time of each stage.", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self._audio = Counter("zeng_stt_audio_seconds", "Speech recognised.", registry=self._registry)
        length = Gauge("zeng_stt_line_length", "Recognitions waiting or running.", registry=self._registry)
        length.set_function(lambda: float(line_length()))

    def count(self, outcome: str) -> None:
        """Note how a request ended: ok, busy, refused, gone, failed."""
        self._requests.labels(outcome).inc()

    def doubt(self, reason: Doubt) -> None:
        """Note a text that the guards did not let through."""
        self._doubted.labels(reason.value).inc()

    def recognised(self, done: Done) -> None:
        """Note the times of one recognition."""
        self._seconds.labels("queue").observe(done.queued_s)
        self._seconds.labels("encode").observe(done.heard.encode_s)
        self._seconds.labels("decode").observe(done.heard.decode_s)
        self._audio.inc(done.heard.audio_s)

    def page(self) -> bytes:
        """Write the text for `/metrics`."""
        return generate_latest(self._registry)
