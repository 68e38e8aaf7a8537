"""How late packets come behind the fastest recent one, and the delay that covers nearly all of them."""

from __future__ import annotations

from collections import deque

_BIN_MS = 5
_WINDOW_S = 2.0  # the fastest packet is sought among those of so long: drift of 100 ppm moves it by 0.2 ms
_QUANTILE = 0.97
_FORGET = 0.998  # a packet: half the weight is gone after 350 of them, 7 s
_RESCALE_AT = 1e12
_REVIEW_EVERY = 8  # packets
_SPIKE_MS = 60
_SPIKE_PACKET_MS = 20


class ArrivalDelay:
    """Histogram of arrival delays up to `limit_ms` with exponential forgetting, as NetEq keeps one."""

    def __init__(self, *, limit_ms: int) -> None:
        # At first as if a calm line had long been heard: one spike then changes nothing, a second of jitter does.
        self._total = 1 / (1 - _FORGET)
        self._bins = [self._total] + [0.0] * (limit_ms // _BIN_MS)
        self._limit_ms = limit_ms
        self._weight = 1.0
        self._unreviewed = 0
        self._fastest: deque[tuple[float, float]] = deque(maxlen=256)  # (arrival, earliness), earliness falling
        self.quantile_ms = 0  # delay within which 97 % of the packets came, rounded up to 5 ms

    @property
    def fastest(self) -> float:
        """Greatest earliness (media time less arrival, s) in the window; `add` comes first."""
        return self._fastest[0][1]

    def forget_fastest(self) -> None:
        """Compare with what comes from here on: the two clocks have lost touch (another stream, a jump)."""
        self._fastest.clear()

    def add(self, *, media_s: float, now: float, in_order: bool) -> None:
        """Count a packet that carries `media_s` and came at `now`."""
        earliness = media_s - now
        window = self._fastest
        while window and window[-1][1] <= earliness:
            window.pop()
        window.append((now, earliness))
        while window[0][0] < now - _WINDOW_S:
            window.popleft()
        late_ms = 1000 * (window[0][1] - earliness)
        weight = self._weight
        if in_order and late_ms > _SPIKE_MS:
            # The path stood still and its packets come now in one go, or the sender stopped its media clock in a
            # pause. The next packets tell which, against this one; it is counted for those that wait behind it. An
            # outage beyond the limit teaches nothing.
            window.clear()
            window.append((now, earliness))
            weight *= late_ms / _SPIKE_PACKET_MS if late_ms <= self._limit_ms else 0
        self._bins[min(int(late_ms / _BIN_MS), len(self._bins) - 1)] += weight
        self._total += weight
        self._weight /= _FORGET
        self._unreviewed += 1
        if self._unreviewed >= _REVIEW_EVERY or late_ms > self.quantile_ms:
            self._review()

    def _review(self) -> None:
        self._unreviewed = 0
        if self._weight > _RESCALE_AT:
            self._bins = [count / self._weight for count in self._bins]
            self._total /= self._weight
            self._weight = 1.0
        within, index = self._bins[0], 0
        enough = self._total * _QUANTILE
        while within < enough and index < len(self._bins) - 1:
            index += 1
            within += self._bins[index]
        self.quantile_ms = (index + 1) * _BIN_MS
