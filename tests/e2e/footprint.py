"""What a running service holds: tasks, ports, sockets, keys. The same before and after a call, or something leaks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio as redis

from bot.context.redis_store import KEY_PREFIX, RedisConversationStore
from tests.e2e.service import RunningService
from tests.waiting import HUNG_S

_TASKS = "zeng_tasks|coroutine="
# Connections to the speech server and to Redis are pooled, so that the next call finds them open.
_POOLED = ("Connection.keepalive", "SpeechLink._read")


@dataclass(frozen=True, slots=True)
class Footprint:
    """Added up over the service's processes."""

    calls: int
    tasks: tuple[tuple[str, int], ...]  # by coroutine
    rtp_ports: int
    udp_sockets: int
    keys_for_ever: tuple[str, ...]

    def within(self, before: Footprint) -> bool:
        """Nothing has been added. Less is well: what an earlier call held may go while this one runs."""
        tasks = dict(before.tasks)
        return (
            self.calls <= before.calls
            and all(number <= tasks.get(name, 0) for name, number in self.tasks)
            and self.rtp_ports <= before.rtp_ports
            and self.udp_sockets <= before.udp_sockets
            and set(self.keys_for_ever) <= set(before.keys_for_ever)
        )


async def footprint(service: RunningService) -> Footprint:
    """Look now."""
    samples = await service.samples()
    processes = _descendants(service.process.pid)
    return Footprint(
        calls=int(sum(value for name, value in samples.items() if name.startswith("zeng_calls_active"))),
        tasks=tuple(
            (name.removeprefix(_TASKS), int(number))
            for name, number in sorted(samples.items())
            if name.startswith(_TASKS) and not name.endswith(_POOLED)
        ),
        rtp_ports=int(samples["zeng_rtp_ports_taken"]),
        udp_sockets=sum(_udp_sockets(process) for process in processes),
        keys_for_ever=await _keys_for_ever(_redis_url(processes)),
    )


async def conversations(service: RunningService) -> str:
    """What the service remembers of all calls, a line a turn: for the message of a test that fails."""
    lines: list[str] = []
    async with redis.from_url(_redis_url(_descendants(service.process.pid))) as client:
        store = RedisConversationStore(client, ttl_s=3600)
        async for key in client.scan_iter(f"{KEY_PREFIX}*"):
            known = await store.load(key.decode().removeprefix(KEY_PREFIX))
            lines += [f"{known.call_id} {turn.speaker.value}: {turn.text}" for turn in known.turns]
    return "\n".join(lines)


async def until_as_before(service: RunningService, before: Footprint, *, seconds: float = HUNG_S) -> None:
    """Wait until nothing is left of the calls since `before`."""
    now = await footprint(service)
    for _ in range(round(seconds / 0.25)):
        if now.within(before):
            return
        await asyncio.sleep(0.25)
        now = await footprint(service)
    assert now.within(before), f"something of a call was left behind: {now}, before {before}"


def _descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
    found = [root]
    for process in found:
        found.extend(child for child, parent in parents.items() if parent == process)
    return found


def _udp_sockets(process: int) -> int:
    bound = {
        line.split()[9] for kind in ("udp", "udp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    }
    count = 0
    try:
        descriptors = list(Path(f"/proc/{process}/fd").iterdir())
    except FileNotFoundError:  # it has just ended
        return 0
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        count += target.startswith("socket:[") and target[8:-1] in bound
    return count


def _redis_url(processes: list[int]) -> str:
    for process in processes:
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
        except FileNotFoundError:  # it has just ended
            continue
        if "redis-server" in words[0] or "valkey-server" in words[0]:
            # redis-server rewrites its title to "redis-server 127.0.0.1:PORT"
            return f"redis://{words[0].split()[1]}/0" if " " in words[0] else _from_options(words)
    raise AssertionError("the service runs no Redis")


def _from_options(words: list[str]) -> str:
    return f"redis://127.0.0.1:{words[words.index('--port') + 1]}/0"


async def _keys_for_ever(url: str) -> tuple[str, ...]:
    async with redis.from_url(url, decode_responses=True) as client:
        return tuple(sorted([key async for key in client.scan_iter() if await client.ttl(key) < 0]))
