from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from bot.flows.live import LiveFlow
from bot.metrics import CallMetrics, FlowCollector
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


def test_a_speech_server_that_goes_and_comes_back_is_told() -> None:
    registry = CollectorRegistry()
    metrics = CallMetrics(registry)
    for up in (True, False, True):
        metrics.speech_server("http://10.0.0.1:8100", up=up)
        assert registry.get_sample_value("zeng_speech_server_up", {"server": "http://10.0.0.1:8100"}) == up
