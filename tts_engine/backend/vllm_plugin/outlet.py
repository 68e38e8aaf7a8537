"""How frames leave the device: rows of a step, on to whoever sends them, without the step waiting for either."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tts_engine.backend.vllm_plugin.wire import ENDED, Keys, Rows, pack

Send = Callable[[Keys, Rows], None]


class Outlet(Protocol):
    """Takes the rows of each step; says which requests were seen to end."""

    def emit(self, keys: Keys, rows: Tensor) -> None:
        """Take rows [n, width] int16 of the requests `keys` [n]; those whose flags are 0 are nobody's."""
        ...

    def ended(self) -> list[int]:
        """Return the keys that have ended since the last call."""
        ...

    def close(self) -> None: ...


class _Passing:
    """Passes on the rows that say something."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ended: deque[int] = deque()

    def ended(self) -> list[int]:
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def pass_on(self, keys: Keys, rows: Rows) -> None:
        flags = rows[:, -1]
        said = np.flatnonzero(flags)
        if len(said) == len(keys) > 0:  # as they do but for beginnings: 8 MB a step at 2,048 streams are not copied
            self._send(keys, rows)
        elif len(said):
            self._send(keys[said], rows[said])
        self._ended.extend(keys[np.flatnonzero(flags & ENDED)].tolist())


class DirectOutlet:
    """For a device that is this processor."""

    def __init__(self, send: Send) -> None:
        self._passing = _Passing(send)

    def emit(self, keys: Keys, rows: Tensor) -> None:
        self._passing.pass_on(keys, rows.numpy())

    def ended(self) -> list[int]:
        return self._passing.ended()

    def close(self) -> None:
        """Nothing is held."""


class RingOutlet:
    """For a GPU: rows go to pinned memory in the stream's own order; a thread waits for them and passes them on.

    `entries` steps may be under way. When the thread is that far behind (it never is by itself; a listener that reads
    nothing makes it so) the next step waits, which is heard, but bounds the memory.
    """

    def __init__(self, send: Send, *, rows: int, width: int, entries: int = 8) -> None:
        self._passing = _Passing(send)
        self._held = [torch.empty(rows, width, dtype=torch.int16, pin_memory=True) for _ in range(entries)]
        self._events = [torch.cuda.Event(blocking=True) for _ in range(entries)]
        self._free: queue.Queue[int] = queue.Queue(entries)
        for entry in range(entries):
            self._free.put(entry)
        self._under_way: queue.Queue[tuple[int, Keys] | None] = queue.Queue(entries + 1)
        self._thread = threading.Thread(target=self._serve, name="csm-outlet", daemon=True)
        self._thread.start()

    def emit(self, keys: Keys, rows: Tensor) -> None:
        entry = self._free.get()
        self._held[entry][: len(rows)].copy_(rows, non_blocking=True)
        self._events[entry].record()
        self._under_way.put((entry, keys))

    def ended(self) -> list[int]:
        return self._passing.ended()

    def close(self) -> None:
        """Pass on what is under way, then stop."""
        self._under_way.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (step := self._under_way.get()) is not None:
            entry, keys = step
            self._events[entry].synchronize()
            self._passing.pass_on(keys, self._held[entry][: len(keys)].numpy())
            self._free.put(entry)


class SocketSender:
    """Sends packets to the speech server over its Unix socket; may be called from several threads.

    `gone` is called on a thread of ours when the server's process has closed it or was killed: nothing else tells
    vLLM's process, which would keep the GPU's memory. A server in this same process (tests have it) is not watched.
    """

    def __init__(self, path: Path, gone: Callable[[], None]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._lock = threading.Lock()
        self._gone, self._closed = gone, False
        if _peer_pid(self._socket) != os.getpid():
            threading.Thread(target=self._watch, name="csm-server-watch", daemon=True).start()

    def __call__(self, keys: Keys, rows: Rows) -> None:
        with self._lock:
            for part in pack(keys, rows):
                self._socket.sendall(part)

    def close(self) -> None:
        self._closed = True
        with suppress(OSError):  # the other side was first
            self._socket.shutdown(socket.SHUT_RDWR)  # the watch ends
        self._socket.close()

    def _watch(self) -> None:
        with suppress(OSError):
            self._socket.recv(1)  # it never says anything: this is its end
        if not self._closed:
            self._gone()


def _peer_pid(connected: socket.socket) -> int:
    ucred = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
    return ucred.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, ucred.size))[0]
