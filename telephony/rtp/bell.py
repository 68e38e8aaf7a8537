"""What the bot's loop does once for all calls: it hears what the media thread has brought, and says what bots play."""

from __future__ import annotations

import asyncio

from telephony.rtp.doorbell import Doorbell
from telephony.rtp.hearing import Hearing, hear_together
from telephony.rtp.speaking import Speaking, speak_together


class SharedWork:
    """Sound that waits to be converted, of all the calls of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bells: list[Bell] = []
        self._speaking: list[Speaking] = []

    def will_hear(self, bell: Bell) -> None:
        """Note a call for which something has come; `hear` follows."""
        self._bells.append(bell)

    def hear(self) -> None:
        """Make ready what has come for all these, and wake who waits for it."""
        bells, self._bells = self._bells, []
        hear_together([bell.hearing for bell in bells if not bell.hearing.is_ahead])
        for bell in bells:
            bell.wake()

    def will_speak(self, speaking: Speaking) -> None:
        """Have what was put into `speaking` converted once all calls whose turn it is have had it."""
        if not self._speaking:
            self._loop.call_soon(self._speak)
        self._speaking.append(speaking)

    def _speak(self) -> None:
        speaking, self._speaking = self._speaking, []
        speak_together(speaking)


class Bell:
    """One call's part of the doorbell: however often it is rung, the loop is told once."""

    def __init__(self, doorbell: Doorbell, work: SharedWork, *, hearing: Hearing, speaking: Speaking) -> None:
        self.hearing = hearing
        self._doorbell = doorbell
        self._work = work
        self._speaking = speaking
        self._rung = False
        self._waiters: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Tell the waiting side; called in the media thread."""
        if not self._rung:
            self._rung = True
            self._doorbell.note(self._answer)

    def _answer(self) -> None:
        # Cleared first: what happens from here on rings again.
        self._rung = False
        self._work.will_hear(self)

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

    def speaks(self) -> None:
        """Tell that `speaking` has been given a frame."""
        self._work.will_speak(self._speaking)
