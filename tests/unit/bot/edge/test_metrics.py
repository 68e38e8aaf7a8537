from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bot.edge.metrics import join_expositions


def page(calls: int) -> str:
    registry = CollectorRegistry()
    Counter("zeng_calls", "Calls ended", ["transport"], registry=registry).labels("sip").inc(calls)
    Histogram("zeng_turn_latency_seconds", "Latency", buckets=(0.1, 1.0), registry=registry).observe(0.5)
    return generate_latest(registry).decode()


def test_each_workers_samples_keep_their_value_and_get_its_label() -> None:
    text = join_expositions({"worker-0": page(2), "worker-1": page(5)}).decode()

    assert 'zeng_calls_total{transport="sip",worker="worker-0"} 2.0' in text
    assert 'zeng_calls_total{transport="sip",worker="worker-1"} 5.0' in text
    assert 'zeng_turn_latency_seconds_bucket{le="1.0",worker="worker-1"} 1.0' in text
    assert text.count("# TYPE zeng_calls_total counter") == 1


def test_no_worker_is_an_empty_page() -> None:
    assert join_expositions({}) == b""
