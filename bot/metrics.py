"""`CallMetrics`: Prometheus instruments of the bot. Few labels, never caller numbers or texts."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from bot.events import AnsweredBy, CallEvent, FlowState, TurnLatency
from bot.flows.live import LiveFlow
from telephony.leg import LegEnded, LegStats

_LOOP_ASKED_S = 0.1
_TURN_BUCKETS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 5)


class CallMetrics:
    """Counts what calls tell; one a worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._active = Gauge("zeng_calls_active", "Calls under way", ["transport"], registry=registry)
        self._calls = Counter("zeng_calls", "Calls ended", ["transport", "cause"], registry=registry)
        self._q850 = Counter("zeng_call_q850", "Calls ended with a cause of the network", ["cause"], registry=registry)
        self._duration = Histogram(
            "zeng_call_duration_seconds",
            "From INVITE or offer to the end",
            buckets=(1, 5, 15, 30, 60, 120, 300, 900),
            registry=registry,
        )
        self._turn = Histogram(
            "zeng_turn_latency_seconds",
            "End of the caller's speech or key to the bot's first frame",
            buckets=_TURN_BUCKETS,
            registry=registry,
        )
        self._stage = Histogram(
            "zeng_turn_stage_seconds", "The same by stage", ["stage"], buckets=_TURN_BUCKETS, registry=registry
        )
        self._states = Counter("zeng_flow_states", "Flow states entered", ["state"], registry=registry)
        self._answerers = Counter("zeng_answered_by", "Who answered calls that we placed", ["who"], registry=registry)
        self._failures = Counter("zeng_failures", "Failures that a call survived", ["part", "kind"], registry=registry)
        self._servers = Gauge(
            "zeng_speech_server_up", "Whether a server of several speaks", ["server"], registry=registry
        )
        self._lost = Counter("zeng_rtp_lost_packets", "Packets that never came", ["transport"], registry=registry)
        self._refused = Counter(
            "zeng_rtp_refused_packets", "Packets that were not taken", ["transport", "why"], registry=registry
        )
        self._unsent = Counter(
            "zeng_rtp_unsent_packets", "Packets that the system did not take", ["transport"], registry=registry
        )
        self._underruns = Counter(
            "zeng_underruns", "Frames of silence within bot speech", ["transport"], registry=registry
        )
        self._mos = Histogram(
            "zeng_call_mos",
            "How a call sounded by the E-model, here and at the far end",
            ["transport", "side"],
            buckets=(1.5, 2, 2.5, 3, 3.5, 3.8, 4, 4.2, 4.3, 4.5),
            registry=registry,
        )

    def call_started(self, transport: str) -> None:
        """A call came in."""
        self._active.labels(transport).inc()

    def call_ended(self, transport: str, ended: LegEnded, seconds: float, stats: LegStats) -> None:
        """A call is over."""
        self._active.labels(transport).dec()
        self._calls.labels(transport, ended.cause.value).inc()
        if ended.q850 is not None:  # 0 to 127, so the label stays small
            self._q850.labels(str(ended.q850)).inc()
        self._duration.observe(seconds)
        self._lost.labels(transport).inc(stats.lost)
        self._refused.labels(transport, "malformed").inc(stats.malformed)
        self._refused.labels(transport, "source").inc(stats.strangers)
        self._unsent.labels(transport).inc(stats.unsent)
        self._underruns.labels(transport).inc(stats.underruns)
        for side, mos in (("here", stats.mos), ("there", stats.mos_there)):
            if mos is not None:
                self._mos.labels(transport, side).observe(mos)

    def event(self, event: CallEvent) -> None:
        """Something happened in a call."""
        if isinstance(event, TurnLatency):
            self._turn.observe(event.total_ms / 1000)
            for stage, ms in event.stages.model_dump().items():
                self._stage.labels(stage).observe(ms / 1000)
        elif isinstance(event, FlowState):
            self._states.labels(event.state).inc()
        elif isinstance(event, AnsweredBy):
            self._answerers.labels(event.by).inc()

    def failure(self, part: str, error: Exception) -> None:
        """A part failed and the call went on."""
        self._failures.labels(part, type(error).__name__).inc()

    def speech_server(self, server: str, *, up: bool) -> None:
        """One of several speech servers answers, or does not."""
        self._servers.labels(server).set(up)


class FlowCollector:
    """Which version of the flow new calls get, and whether the file as it is now was refused."""

    def __init__(self, live: LiveFlow) -> None:
        self._live = live

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Tell as it is now; Prometheus' name for it."""
        info = GaugeMetricFamily("zeng_flow_info", "The flow that new calls get", labels=["flow", "version"])
        info.add_metric([self._live.current().id, self._live.version], 1)
        refused = "1 while the flow file has mistakes and an older version is served"
        yield info
        yield GaugeMetricFamily("zeng_flow_refused", refused, value=float(self._live.problem is not None))


class LoopLateness:
    """How late an event loop's timers come: in a voice server a stall is jitter. `run()` is a task of that loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            "zeng_event_loop_late_seconds",
            "How late a timer of the bot's event loop came, asked ten times a second",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
            registry=registry,
        )

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOP_ASKED_S
            await asyncio.sleep(_LOOP_ASKED_S)
            self._late.observe(max(0.0, loop.time() - due))


class TaskCollector:
    """How many tasks an event loop has, by what they run: as many after a call as before. Scrape it in that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count now; Prometheus' name for it."""
        family = GaugeMetricFamily("zeng_tasks", "Tasks of the event loop", labels=["coroutine"])
        names = (getattr(task.get_coro(), "__qualname__", "other") for task in asyncio.all_tasks(self._loop))
        for name, number in sorted(collections.Counter(names).items()):
            family.add_metric([name], number)
        yield family
