"""One exposition from several workers: each worker's samples get a `worker` label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


class _Joined:
    """What prometheus_client calls a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def join_expositions(pages: Mapping[str, str]) -> bytes:
    """Join Prometheus text pages, keyed by worker name, into one."""
    families: dict[str, Metric] = {}
    for worker, text in pages.items():
        for family in text_string_to_metric_families(text):
            joined = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                joined.samples.append(sample._replace(labels={**sample.labels, "worker": worker}))
    registry = CollectorRegistry()
    registry.register(_Joined(families.values()))  # type: ignore[arg-type]  # duck-typed collector
    return generate_latest(registry)


def trunk_exposition(up: Mapping[str, bool]) -> bytes:
    """Write which trunks can take calls; nothing where there are none."""
    registry = CollectorRegistry()
    if up:
        gauge = Gauge("zeng_trunk_up", "Whether calls can go out by a trunk", ["trunk"], registry=registry)
        for name, is_up in up.items():
            gauge.labels(name).set(is_up)
    return generate_latest(registry)
