"""Where the speech server takes in the frames that vLLM's process sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tts_engine.backend.vllm_plugin.wire import Keys, Rows, Unpacker


class Inlet:
    """A Unix socket and a thread that reads it; `take` gets each packet, in order, and must return at once.

    The arrays that `take` gets are overwritten by the next packet. `lost` is called if the other side goes away.
    """

    def __init__(self, path: Path, take: Callable[[Keys, Rows], None], lost: Callable[[], None]) -> None:
        self._take, self._lost = take, lost
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(1)
        self._peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="csm-inlet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading; what was not read is dropped."""
        for end in (self._server, self._peer):
            if end is not None:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was first
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        try:
            self._peer, _ = self._server.accept()
        except OSError:  # closed before anyone came
            return
        unpacker = Unpacker()
        with self._peer:
            while count := self._read(self._peer, unpacker.room()):
                if (packet := unpacker.received(count)) is not None:
                    self._take(*packet)
        self._lost()

    def _read(self, peer: socket.socket, room: memoryview) -> int:
        try:
            # all that there is room for in one call: after each the interpreter's lock must be had again, and a step
            # of 2,048 streams is 8 MB, forty calls; a loop that is busy gives the lock up after 5 ms
            return peer.recv_into(room, 0, socket.MSG_WAITALL)
        except OSError:
            return 0
