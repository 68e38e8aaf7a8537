"""`SpeechLink`: one WebSocket to the speech server, as its client holds it."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State

from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechRequestError, SpeechUnavailableError
from tts_engine.protocol import (
    STREAM_PATH,
    TRY_AGAIN_LATER,
    InputCancel,
    InputDone,
    InputText,
    ServerMessage,
    SessionConfig,
    SessionDone,
    SpeechRequest,
    parse_server_message,
)
from tts_engine.urls import address


class SpeechLink:
    """Carries one utterance at a time, and any number of them one after another."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, *, timeout_s: float) -> SpeechLink:
        """Connect to a server's `ws://` URL; raises `SpeechUnavailableError`."""
        try:
            # PCM hardly compresses, and deflate would cost the server CPU for every frame.
            socket = await connect(
                url + STREAM_PATH, compression=None, proxy=None, open_timeout=timeout_s, close_timeout=timeout_s
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise SpeechUnavailableError(f"no speech server answers at {address(url)}: {error!r}") from error
        return cls(socket)

    @property
    def usable(self) -> bool:
        """Whether both ends still hold the connection."""
        return self._socket.state is State.OPEN

    async def ask(self, request: SpeechRequest) -> None:
        """Send the whole request without waiting for an answer; raises `SpeechUnavailableError`."""
        try:
            for message in (SessionConfig.of(request), InputText(text=request.text), InputDone()):
                await self._socket.send(message.model_dump_json())
        except ConnectionClosed as error:
            raise _broken(error) from error

    async def receive(self) -> bytes | ServerMessage:
        """Wait for audio or a message.

        Raises `SpeechUnavailableError` or `SpeechCapacityError` if the server closed the connection.
        """
        try:
            data = await self._socket.recv()
        except ConnectionClosed as error:
            raise _broken(error) from error
        if isinstance(data, bytes):
            return data
        try:
            return parse_server_message(data)
        except SpeechRequestError as error:
            raise SpeechUnavailableError(f"this is no speech server of ours: {error}") from error

    async def settle(self, *, timeout_s: float) -> bool:
        """Stop the utterance and read what is left of it; says whether the link can carry another."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._socket.send(InputCancel().model_dump_json())
                while not isinstance(await self.receive(), SessionDone):
                    pass
        except (TimeoutError, ConnectionClosed, SpeechError):
            return False
        return True

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await self._socket.close()


def _broken(error: ConnectionClosed) -> SpeechError:
    close = error.rcvd
    if close is not None and close.code == TRY_AGAIN_LATER:
        return SpeechCapacityError(f"the speech server takes no more: {close.reason}")
    return SpeechUnavailableError(f"the link to the speech server broke: {error}")
