from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from bot.flows.live import LiveFlow
from bot.metrics import CallMetrics, FlowCollector
from telephony.leg import EndCause, LegEnded, LegStats
from tests.fakes.flows import ENDS, FRAME


def test_the_version_that_is_served_and_a_refused_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    path.write_text(f"{FRAME}start: end\nstates:\n{ENDS}", encoding="utf-8")
    live = LiveFlow(path)
    registry = CollectorRegistry()
    registry.register(FlowCollector(live))
    labels = {"flow": "test", "version": live.version}
    assert registry.get_sample_value("zeng_flow_info", labels) == 1
    assert registry.get_sample_value("zeng_flow_refused") == 0
    path.write_text("version: 1\n", encoding="utf-8")
    live.refresh()
    assert registry.get_sample_value("zeng_flow_info", labels) == 1
    assert registry.get_sample_value("zeng_flow_refused") == 1


def test_what_was_not_heard_and_not_sent_of_a_call_is_told_when_it_is_over() -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    for _ in range(2):
        metrics.call_started("sip")
        metrics.call_ended("sip", LegEnded(EndCause.CALLER_HUNG_UP), 9.0, LegStats(malformed=1, strangers=2, unsent=3))

    refused = [
        registry.get_sample_value("zeng_rtp_refused_packets_total", {"transport": "sip", "why": why})
        for why in ("malformed", "source")
    ]
    assert refused == [2, 4]
    assert registry.get_sample_value("zeng_rtp_unsent_packets_total", {"transport": "sip"}) == 6


def test_a_speech_server_that_goes_and_comes_back_is_told() -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    for up in (True, False, True):
        metrics.speech_server("http://10.0.0.1:8100", up=up)
        assert registry.get_sample_value("zeng_speech_server_up", {"server": "http://10.0.0.1:8100"}) == up
