"""What the speech server counts, for Prometheus. Names are `zeng_tts_*`, in base units; no label names a caller."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
_CONTEXT_BUCKETS_S = (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0)


class SpeechMetrics:
    """The server's counters, in a registry of the composition root."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.streams = Gauge("zeng_tts_streams_active", "Utterances being spoken", registry=registry)
        self.connections = Gauge("zeng_tts_connections", "WebSockets that are open", registry=registry)
        self.draining = Gauge("zeng_tts_draining", "1 once the server takes no new utterance", registry=registry)
        self.utterances = Counter("zeng_tts_utterances", "Utterances by how they ended", ["outcome"], registry=registry)
        self.rejected = Counter("zeng_tts_rejected", "Utterances that were not admitted", ["reason"], registry=registry)
        self.first_audio = Histogram(
            "zeng_tts_first_audio_seconds",
            "From admission to the first audio",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.audio_seconds = Counter("zeng_tts_audio_seconds", "Audio made", registry=registry)
        self.context_seconds = Histogram(
            "zeng_tts_context_seconds",
            "Conversation heard before speaking",
            buckets=_CONTEXT_BUCKETS_S,
            registry=registry,
        )
        self.cached_frames = Counter(
            "zeng_tts_context_cached_frames", "Context frames that were not computed again", registry=registry
        )
        self.store_errors = Counter("zeng_tts_store_errors", "Failures of the conversation store", registry=registry)
        self.slow_clients = Counter("zeng_tts_slow_clients", "Clients cut for taking no audio", registry=registry)
