"""How many frames go out at once: one at first, more as a stream gets ahead of its playback.

Each piece that goes out costs the server, the network and the client about the same, whatever its size; a server of a
thousand streams that passed every frame on by itself spent a core on it (docs/benchmarks.md).
"""

from __future__ import annotations

MOST_FRAMES = 12  # about a second: what a listener who hangs up has been sent for nothing
SAFE_FRAMES = 6  # below this lead every frame goes out by itself; so a piece is out 200 ms before it is wanted
SHORT_FRAMES = 2.5  # below this lead the next frame is wanted soon: it goes out before those of others


class Chunking:
    """One stream's. Its listener is taken to play from the first piece on and never to wait."""

    def __init__(self, *, frame_s: float) -> None:
        self._frame_s = frame_s
        self._sent = 0
        self._began_at = 0.0
        self._due_at = float("-inf")
        self.short = True  # the listener will have played what went out last within two frames

    def due(self, held: int, *, now: float) -> bool:
        """Whether the frames held are to go out; if so, they are taken as sent.

        They are held while half of the lead is played. The first frame after that takes them along, so a piece is out
        long before the one before it has been played, as long as frames come no slower than they are played.
        """
        if now < self._due_at and held < MOST_FRAMES:
            return False
        if not self._sent:
            self._began_at = now
        self._sent += held
        lead = self._sent - (now - self._began_at) / self._frame_s
        self.short = lead < SHORT_FRAMES
        self._due_at = now + (lead / 2 * self._frame_s if lead >= SAFE_FRAMES else 0.0)
        return True
