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
        self._hearing: dict[Bell, None] = {}  # each once
        self._speaking: list[Speaking] = []

    def will_hear(self, bell: Bell) -> None:
        """Note a call that waits for what has come; `hear` makes it ready, and wakes the call."""
        self._hearing[bell] = None

    def hear_soon(self, bell: Bell) -> None:
        """Do the same before the loop goes on: the call is behind, so no ring need follow."""
        if not self._hearing:
            self._loop.call_soon(self.hear)
        self._hearing[bell] = None

    def hear(self) -> None:
        """Make ready what all these wait for."""
        bells, self._hearing = self._hearing, {}
        hear_together([bell.hearing for bell in bells])
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
        self._listens = False  # whether somebody waits for what comes
        self._waiters: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Tell the waiting side; called in the media thread."""
        if not self._rung:
            self._rung = True
            self._doorbell.note(self._answer)

    def _answer(self) -> None:
        # Cleared first: what happens from here on rings again.
        self._rung = False
        if self._listens:
            self._work.will_hear(self)
        else:
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
        """Wait until what has come, or comes next, has been made ready with that of other calls."""
        if self.hearing.is_behind:
            self._work.hear_soon(self)
            await self.wait()
            return
        self._listens = True
        try:
            await self.wait()
        finally:
            self._listens = False

    def speaks(self) -> None:
        """Tell that `speaking` has been given a frame."""
        self._work.will_speak(self._speaking)
