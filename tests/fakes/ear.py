"""`Ear`: speech through voice detection, `SoundTrail` and `TurnMachine` as in a call, in media time; no loop, no wait.

It does what `CallInput`, `TurnRecogniser` and `Dialogue` do with a caller's frames, one call with an idle recogniser.
What a recognition says and how long it takes is for the test to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.flows.sufficiency import Sufficiency
from bot.settings import TurnSettings
from bot.sound_trail import SoundFaded, SoundReturned, SoundTrail
from bot.speech_batch import SpeechBatch
from bot.speech_detector import WINDOW_MS, SileroSession, SpeechDetector, level_db
from bot.turns import TurnEnded, TurnMachine, TurnPolicy
from bot.voice_activity import VoiceActivity, VoiceStarted, VoiceStopped

FRAME_MS = 20
LEAD_MS = 200
LOUD_DB = -42.0  # what the load test takes for sound
_TAIL_MS = 200  # as `bot.transport`


@dataclass(frozen=True, slots=True)
class Reading:
    """What a recognition says, and how long it takes."""

    text: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class EarTurn:
    """One turn as the machine ended it, in media time."""

    began_ms: float
    ended_ms: float
    text: str


@dataclass(slots=True)
class _Request:
    done_ms: float
    text: str
    ahead: bool


class Ear:
    """One call's caller."""

    def __init__(
        self,
        signal: NDArray[np.float32],
        *,
        recognise: Callable[[int, int], Reading],
        judge: Callable[[str], Sufficiency],
        batch: SpeechBatch | None = None,
        settings: TurnSettings | None = None,
        ends_by_sound: bool = True,
    ) -> None:
        """`signal` is 16 kHz; `recognise` gets the turn's begin and end in it, in ms.

        `ends_by_sound=False`: only a pause of the speech model ends a turn.
        """
        settings = settings or TurnSettings()
        self._signal = signal
        self._recognise = recognise
        self._judge = judge
        self._ends_by_sound = ends_by_sound
        self._detector = SpeechDetector(batch or SpeechBatch(SileroSession()))
        self._activity = VoiceActivity(
            threshold=settings.voice_threshold,
            release=settings.voice_release,
            start_ms=settings.start_ms,
            stop_ms=settings.pause_ms,
        )
        self._trail = SoundTrail(fade_ms=settings.fade_ms or 100_000)
        self._trails = settings.fade_ms > 0
        self._machine = TurnMachine(
            TurnPolicy(
                whole_pause_ms=settings.whole_pause_ms if ends_by_sound else settings.min_pause_ms,
                min_pause_ms=settings.min_pause_ms,
                end_of_turn_ms=settings.end_of_turn_ms,
            )
        )
        self._request: _Request | None = None
        self._told = self._lingers = False
        self._windows = 0
        self._began_ms: int | None = None
        self.turns: list[EarTurn] = []
        self.asked = 0

    async def hear(self) -> list[EarTurn]:
        """Hear all of the signal."""
        for frame in range(len(self._signal) // (16 * FRAME_MS)):
            await self._hear(frame)
        return self.turns

    async def _hear(self, frame: int) -> None:
        now_ms = FRAME_MS * (frame + 1)
        self._pass_time(now_ms)
        pcm = (self._signal[frame * 320 : (frame + 1) * 320] * 32767).astype(np.int16)
        level = level_db(pcm.astype(np.float32))
        for probability in await self._detector.feed(pcm.tobytes(), speaking=self._activity.speaking):
            self._voice(probability, level, now_ms)
        if self._trails and (self._activity.speaking or self._lingers):
            event = self._trail.feed(level, noise_db=self._detector.noise_db, end_ms=now_ms)
            if self._lingers:
                self._lingers = event is None
            elif isinstance(event, SoundFaded):
                if self._ends_by_sound:
                    self._machine.sound_faded(ended_at=self._trail.ended_at_ms / 1000)
                self._ask(now_ms, ahead=True)
            elif isinstance(event, SoundReturned):
                self._machine.sound_returned()
                self._give_up()
        self._settle(now_ms)

    def _voice(self, probability: float, level: float, now_ms: int) -> None:
        self._lingers = self._lingers and probability >= self._activity.release
        probability = 0.0 if self._lingers else probability
        event = self._activity.feed(probability, at_ms=self._windows * WINDOW_MS, window_ms=WINDOW_MS)
        self._windows += 1
        if isinstance(event, VoiceStarted):
            self._give_up()
            if self._began_ms is None:
                self._began_ms = max(0, event.began_at_ms - LEAD_MS)
            self._machine.voice_started(began_at=event.began_at_ms / 1000)
            self._trail.begin([level], at_ms=now_ms)
        elif isinstance(event, VoiceStopped):
            ended_ms = event.ended_at_ms
            if self._trails and ended_ms - self._trail.ended_at_ms <= _TAIL_MS:
                ended_ms = min(ended_ms, self._trail.ended_at_ms)
            elif self._trails:
                self._machine.sound_returned()
                self._give_up()
            self._machine.voice_stopped(ended_at=ended_ms / 1000)
            if self._request is None and not self._told:
                self._ask(now_ms, ahead=False)
            elif self._request is not None:
                self._request.ahead = False
            self._told = False

    def _ask(self, now_ms: int, *, ahead: bool) -> None:
        assert self._began_ms is not None
        reading = self._recognise(self._began_ms, now_ms)
        self.asked += 1
        self._request = _Request(now_ms + reading.took_ms, reading.text, ahead)

    def _give_up(self) -> None:
        self._request = None
        self._told = False

    def _pass_time(self, now_ms: int) -> None:
        """Let happen what is due before `now_ms`, in order."""
        request = self._request
        waits = request is not None and request.ahead and not self._ends_by_sound  # for the pause
        if request is not None and request.done_ms <= now_ms and not waits:
            self._timer(request.done_ms)
            found = self._judge(request.text)
            self._request, self._told = None, request.ahead
            at_ms = max(request.done_ms, now_ms - FRAME_MS)
            whole = found is Sufficiency.WHOLE
            self._machine.recognised(request.text, sufficient=bool(found), whole=whole, now=at_ms / 1000)
            self._settle(at_ms)
        self._timer(now_ms)

    def _timer(self, now_ms: float) -> None:
        due = self._machine.timer_at()
        if due is not None and due <= now_ms / 1000:
            self._machine.handle_timer(now=due)
            self._settle(due * 1000)

    def _settle(self, at_ms: float) -> None:
        while (event := self._machine.poll()) is not None:
            if isinstance(event, TurnEnded):
                assert self._began_ms is not None
                self.turns.append(EarTurn(self._began_ms, at_ms, event.text))
                self._give_up()
                self._began_ms = None
                self._lingers = self._trails and self._activity.speaking
                self._activity.end()


def sound_end_ms(signal: NDArray[np.float32]) -> int:
    """Where the load test says that the sound ends."""
    blocks = signal[: len(signal) // 160 * 160].reshape(-1, 160)
    loud = np.nonzero(10 * np.log10((blocks**2).mean(axis=1) + 1e-12) > LOUD_DB)[0]
    return int(loud[-1] + 1) * 10
