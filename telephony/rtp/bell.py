"""What happens on the bot's loop when the media thread has ticked, and when a bot has played: for all calls at once."""

from __future__ import annotations

import asyncio

from telephony.rtp.doorbell import Doorbell
from telephony.rtp.hearing import Hearing, hear_together
from telephony.rtp.speaking import Speaking, speak_together


class SharedWork:
    """The sound that is to be converted before the loop goes on, of all the calls of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._hearings: list[Hearing] = []
        self._speakings: list[Speaking] = []

    def will_hear(self, hearing: Hearing) -> None:
        """Note a call that has something new and waits for it; `hear` follows."""
        self._hearings.append(hearing)

    def hear(self) -> None:
        """Make ready what all these wait for."""
        hearings, self._hearings = self._hearings, []
        hear_together(hearings)

    def will_speak(self, speaking: Speaking) -> None:
        """Have what was put into `speaking` converted once all calls whose turn it is have had it."""
        if not self._speakings:
            self._loop.call_soon(self._speak)
        self._speakings.append(speaking)

    def _speak(self) -> None:
        speakings, self._speakings = self._speakings, []
        speak_together(speakings)


class Bell:
    """One call's part of the doorbell: however often it is rung, the loop is told once."""

    def __init__(self, doorbell: Doorbell, work: SharedWork, *, hearing: Hearing, speaking: Speaking) -> None:
        self._doorbell = doorbell
        self._work = work
        self._hearing = hearing
        self._speaking = speaking
        self._rung = False
        self._is_heard = False  # whether somebody waits for what comes
        self._waiters: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Tell the waiting side; called in the media thread."""
        if not self._rung:
            self._rung = True
            self._doorbell.note(self._answer)

    def _answer(self) -> None:
        # Cleared first: what happens from here on rings again.
        self._rung = False
        if self._is_heard:
            self._work.will_hear(self._hearing)
        self.wake()

    def wake(self) -> None:
        """Let all that wait look again; called in the bot's loop."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():  # else its task was cancelled
                waiter.set_result(None)

    async def wait(self) -> None:
        """Wait for the next ring; what to wait for is looked at just before."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def wait_to_hear(self) -> None:
        """Wait for the next ring, and have what has come by then made ready with that of other calls."""
        self._is_heard = True
        try:
            await self.wait()
        finally:
            self._is_heard = False

    def speaks(self) -> None:
        """Tell that `speaking` has been given a frame."""
        self._work.will_speak(self._speaking)
