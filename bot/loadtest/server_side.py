"""The bot's own side: its metrics over a stage, its calls by id, and what its processes cost on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bot.loadtest.procfs import cpu_s, inodes_of, name_of, owner_of, tree_of, udp_sockets
from telephony.sip.uri import SipUri, parse_uri

_LOCAL = {"127.0.0.1", "localhost", "::1"}
_STAGES = ("endpoint", "recognition", "flow", "speech", "playout")
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment."""

    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    cpu_s: Mapping[int, float] = field(default_factory=dict[int, float])
    sockets: int | None = None  # UDP, of the bot's processes


class ServerSide:
    """Watches a bot; what cannot be seen is left out."""

    def __init__(self, target: str, metrics_url: str) -> None:
        self._url = (metrics_url or ("" if target.startswith("sip") else target)).rstrip("/")
        self._pid = _local_process(target)

    async def look(self) -> Snapshot:
        """Take a snapshot."""
        pids = tree_of(self._pid) if self._pid is not None else ()
        inodes = {inode for pid in pids for inode in inodes_of(pid)}
        sockets = sum(socket.inode in inodes for socket in udp_sockets()) if pids else None
        return Snapshot(await self._metrics(), cpu_s(pids), sockets)

    async def calls(self) -> dict[str, dict[str, float]]:
        """The bot's own figures of its last calls, by call id and by SIP Call-ID; see `docs/loadtest.md`."""
        found: dict[str, dict[str, float]] = {}
        body = await self._get("/api/calls")
        if body is None or body.status_code != 200:
            return found
        for call in body.json().get("calls", ()):
            figures = {name: float(value) for name, value in call.items() if isinstance(value, (int, float))}
            for name in ("call_id", "sip_call_id"):
                if call.get(name):
                    found[call[name]] = figures
        return found

    async def _metrics(self) -> dict[str, float]:
        body = await self._get("/metrics")
        totals: dict[str, float] = {}
        if body is None or body.status_code != 200:
            return totals
        for family in text_string_to_metric_families(body.text):
            for sample in family.samples:
                labels = "".join(f"|{k}={v}" for k, v in sorted(sample.labels.items()) if k != "worker")
                totals[sample.name + labels] = totals.get(sample.name + labels, 0.0) + sample.value
        return totals

    async def _get(self, path: str) -> httpx.Response | None:
        if not self._url:
            return None
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
                return await client.get(self._url + path)
        except httpx.HTTPError:
            return None


def between(before: Snapshot, after: Snapshot, seconds: float) -> dict[str, float]:
    """What happened between two moments: stage means in ms, counts, CPU in shares of a core."""
    found = _metric_figures({name: after.metrics[name] - before.metrics.get(name, 0.0) for name in after.metrics})
    by_name: dict[str, float] = {}
    for pid, spent in after.cpu_s.items():
        name = name_of(pid)
        by_name[name] = by_name.get(name, 0.0) + (spent - before.cpu_s.get(pid, 0.0)) / seconds
    found |= {f"cpu {name}": share for name, share in sorted(by_name.items())}
    if by_name:
        found["cpu_all"] = sum(by_name.values())
    return found | gpu()


def _metric_figures(grown: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    turns = grown.get("zeng_turn_latency_seconds_count", 0.0)
    if turns:
        found["turns"] = turns
        for stage in _STAGES:
            total = grown.get(f"zeng_turn_stage_seconds_sum|stage={stage}")
            if total is not None:
                found[f"{stage}_ms"] = 1000 * total / turns
    for name, short in (("zeng_underruns_total", "underruns"), ("zeng_failures_total", "failures")):
        counts = [value for key, value in grown.items() if key.partition("|")[0] == name]
        if counts:
            found[short] = sum(counts)
    late = {key: value for key, value in grown.items() if key.startswith("zeng_event_loop_late_seconds_bucket")}
    if late:
        found["loop_late_over_50_ms"] = _over(late, 0.05)
        found["loop_late_over_200_ms"] = _over(late, 0.2)
    return found


def _over(buckets: Mapping[str, float], bound_s: float) -> float:
    """How many observations of a histogram are over a bound that is one of its buckets'."""
    by_bound = {float(key.partition("|le=")[2]): value for key, value in buckets.items()}
    return by_bound.get(float("inf"), 0.0) - by_bound.get(bound_s, 0.0)


def gpu() -> dict[str, float]:
    """Use and memory of the first GPU; nothing where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    query = (tool, "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
    try:
        line = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()[0]  # noqa: S603
        use, memory = line.split(",")
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return {}
    return {"gpu_use": float(use) / 100, "gpu_memory_mib": float(memory)}


def _local_process(target: str) -> int | None:
    if target.startswith("sip"):
        uri = parse_uri(target)
        assert isinstance(uri, SipUri)
        host, port = uri.host, uri.port or 5060
    else:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return owner_of(port) if host in _LOCAL else None
