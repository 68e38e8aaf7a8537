"""`SpeechSession`: the server's side of one WebSocket, without the WebSocket.

Feed it what comes (`receive`, `started`, `audio`, ...), then drain `poll()`. All states and what may
happen in them are in `TRANSITIONS`. One utterance is spoken at a time. A message that is refused
spoils the utterance that it belongs to: clients send settings, text and `input.done` in one go, and
must not hear the text under settings that were not taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, assert_never

from tts_engine.error_codes import message_of
from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechRequestError
from tts_engine.protocol import (
    MAX_TEXT_CHARS,
    TRY_AGAIN_LATER,
    AudioDone,
    AudioStart,
    ClientMessage,
    ContextUsed,
    ErrorCode,
    ErrorMessage,
    InputCancel,
    InputDone,
    InputText,
    ServerMessage,
    SessionClose,
    SessionConfig,
    SessionDone,
    SpeechRequest,
    parse_client_message,
)

NORMAL_CLOSURE = 1000


class SessionState(Enum):
    """Where a session stands."""

    READY = "ready"  # nothing in progress
    COLLECTING = "collecting"  # text has come, input.done has not
    SPOILED = "spoiled"  # the utterance was refused; dropped up to its input.done
    SPEAKING = "speaking"
    CLOSED = "closed"


class SessionEvent(Enum):
    """What can happen to a session."""

    CONFIG = "session.config"
    TEXT = "input.text"
    DONE = "input.done"
    CANCEL = "input.cancel"
    CLOSE = "session.close"  # or the connection was lost, or we close it
    REFUSED = "refused"  # a message that cannot be taken
    SPOKEN = "spoken"  # the utterance has ended, well or not


TRANSITIONS: dict[SessionState, dict[SessionEvent, SessionState]] = {
    SessionState.READY: {
        SessionEvent.CONFIG: SessionState.READY,
        SessionEvent.TEXT: SessionState.COLLECTING,
        SessionEvent.DONE: SessionState.READY,
        SessionEvent.CANCEL: SessionState.READY,
        SessionEvent.REFUSED: SessionState.SPOILED,
        SessionEvent.CLOSE: SessionState.CLOSED,
    },
    SessionState.COLLECTING: {
        SessionEvent.TEXT: SessionState.COLLECTING,
        SessionEvent.DONE: SessionState.SPEAKING,
        SessionEvent.CANCEL: SessionState.READY,
        SessionEvent.REFUSED: SessionState.SPOILED,
        SessionEvent.CLOSE: SessionState.CLOSED,
    },
    SessionState.SPOILED: {
        SessionEvent.CONFIG: SessionState.READY,
        SessionEvent.TEXT: SessionState.SPOILED,
        SessionEvent.DONE: SessionState.READY,
        SessionEvent.CANCEL: SessionState.READY,
        SessionEvent.REFUSED: SessionState.SPOILED,
        SessionEvent.CLOSE: SessionState.CLOSED,
    },
    SessionState.SPEAKING: {
        SessionEvent.CANCEL: SessionState.READY,
        SessionEvent.SPOKEN: SessionState.READY,
        SessionEvent.REFUSED: SessionState.SPEAKING,
        SessionEvent.CLOSE: SessionState.CLOSED,
    },
    SessionState.CLOSED: {},
}

_EVENTS: dict[type[ClientMessage], SessionEvent] = {
    SessionConfig: SessionEvent.CONFIG,
    InputText: SessionEvent.TEXT,
    InputDone: SessionEvent.DONE,
    InputCancel: SessionEvent.CANCEL,
    SessionClose: SessionEvent.CLOSE,
}

_REMEDY: dict[SessionState, str] = {
    SessionState.COLLECTING: "send input.done or input.cancel first",
    SessionState.SPEAKING: "wait for session.done, or send input.cancel first",
}


@dataclass(frozen=True, slots=True)
class Say:
    """Speak this: answer with `started`, `audio`..., `finished`, or with `failed`."""

    utterance_index: int
    request: SpeechRequest
    sample_rate: int


@dataclass(frozen=True, slots=True)
class StopSaying:
    """The utterance was cancelled: stop it, and drop its audio that has not been sent."""

    utterance_index: int


@dataclass(frozen=True, slots=True)
class SendText:
    """Send a text message."""

    text: str


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send a binary message."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close the connection, after all that was to be sent."""

    code: int
    reason: str = ""


SessionAction: TypeAlias = Say | StopSaying | SendText | SendAudio | CloseSocket


class SpeechSession:
    """The protocol of one connection."""

    def __init__(self) -> None:
        self._state = SessionState.READY
        self._config = SessionConfig()
        self._text = ""
        self._request: SpeechRequest | None = None
        self._utterance_index = 0
        self._turn_id: str | None = None  # of the utterance being spoken, once it has started
        self._sent_bytes = 0
        self._next_spoiled = False  # a message of the next utterance was refused while this one is spoken
        self._actions: deque[SessionAction] = deque()

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    def poll(self) -> SessionAction | None:
        """Next thing to do, or None."""
        return self._actions.popleft() if self._actions else None

    def receive(self, text: str) -> None:
        """Take a text message."""
        try:
            message = parse_client_message(text)
        except SpeechRequestError as error:
            self._refuse(message_of(error))
            return
        event = _EVENTS[type(message)]
        if event not in TRANSITIONS[self._state]:
            self._refuse_out_of_turn(event)
            return
        match message:
            case SessionConfig():
                self._advance(event)
                self._config = message
            case InputText():
                self._collect(message.text)
            case InputDone():
                self._speak()
            case InputCancel():
                self._cancel()
            case SessionClose():
                self.close(NORMAL_CLOSURE)
            case _:
                assert_never(message)

    def receive_binary(self) -> None:
        """Take a binary message: clients have none to send."""
        self._refuse(_refusal("invalid_request", "clients send JSON text; binary frames are the server's"))

    def started(self, utterance_index: int, turn_id: str) -> None:
        """Note that the utterance was admitted, under this turn's name."""
        if not self._is_spoken(utterance_index):
            return
        self._turn_id = turn_id
        assert self._request is not None
        self._send(
            AudioStart(
                utterance_index=utterance_index,
                sentence_text=self._request.text,
                sample_rate=self._config.sample_rate,
                turn_id=turn_id,
            )
        )

    def audio(self, utterance_index: int, pcm: bytes) -> None:
        """Pass on audio at the session's rate; what comes after a cancel is dropped."""
        if self._is_spoken(utterance_index) and pcm:
            self._sent_bytes += len(pcm)
            self._actions.append(SendAudio(pcm))

    def finished(self, utterance_index: int, context_used: ContextUsed, *, truncated: bool = False) -> None:
        """Note that the utterance was spoken to its end, or (`truncated`) to its limit."""
        if self._is_spoken(utterance_index):
            self._end(SessionEvent.SPOKEN, context_used=context_used, truncated=truncated)

    def failed(self, utterance_index: int, error: SpeechError) -> None:
        """Note that the utterance was not admitted, or broke off."""
        if not self._is_spoken(utterance_index):
            return
        self._send(message_of(error))
        self._end(SessionEvent.SPOKEN, error=True)
        if isinstance(error, SpeechCapacityError):
            self.close(TRY_AGAIN_LATER, "at capacity")

    def close(self, code: int, reason: str = "") -> None:
        """End the session from our side."""
        if self._state is not SessionState.CLOSED:
            self.lost()
            self._actions.append(CloseSocket(code, reason))

    def lost(self) -> None:
        """Note that the connection is gone."""
        if self._state is SessionState.SPEAKING:
            self._actions.append(StopSaying(self._utterance_index))
        if self._state is not SessionState.CLOSED:
            self._advance(SessionEvent.CLOSE)

    def _is_spoken(self, utterance_index: int) -> bool:
        return self._state is SessionState.SPEAKING and utterance_index == self._utterance_index

    def _collect(self, text: str) -> None:
        if len(self._text) + len(text) > MAX_TEXT_CHARS:
            self._refuse(
                _refusal("invalid_request", f"an utterance has at most {MAX_TEXT_CHARS} characters", param="text")
            )
            return
        if self._state is not SessionState.SPOILED:
            self._text += text
        self._advance(SessionEvent.TEXT)

    def _speak(self) -> None:
        if self._state is SessionState.COLLECTING:
            try:
                self._request = self._config.request(self._text)
            except SpeechRequestError as error:
                self._refuse(message_of(error))
        if self._state is SessionState.COLLECTING and self._request is not None:
            self._advance(SessionEvent.DONE)
            self._actions.append(Say(self._utterance_index, self._request, self._config.sample_rate))
        else:  # there is nothing to say: the flush is answered all the same
            self._end(SessionEvent.DONE)

    def _cancel(self) -> None:
        if self._state is SessionState.READY:  # it crossed our session.done on the way
            return
        if self._state is SessionState.SPEAKING:
            self._actions.append(StopSaying(self._utterance_index))
        self._end(SessionEvent.CANCEL, cancelled=True)

    def _end(
        self,
        event: SessionEvent,
        *,
        error: bool = False,
        cancelled: bool = False,
        truncated: bool = False,
        context_used: ContextUsed | None = None,
    ) -> None:
        """Leave the utterance: every one is answered by one session.done, whatever came of it."""
        spoken = self._turn_id is not None
        if self._turn_id is not None:
            self._send(
                AudioDone(
                    utterance_index=self._utterance_index,
                    turn_id=self._turn_id,
                    total_bytes=self._sent_bytes,
                    duration_s=round(self._sent_bytes / 2 / self._config.sample_rate, 3),
                    error=error,
                    cancelled=cancelled,
                    truncated=truncated,
                    context_used=context_used or ContextUsed(),
                )
            )
        self._send(SessionDone(utterance_index=self._utterance_index, total_sentences=int(spoken)))
        self._utterance_index += 1
        self._text, self._request, self._turn_id, self._sent_bytes = "", None, None, 0
        self._advance(event)
        if self._next_spoiled and event is SessionEvent.SPOKEN:
            self._advance(SessionEvent.REFUSED)
        self._next_spoiled = False

    def _refuse_out_of_turn(self, event: SessionEvent) -> None:
        if self._state is not SessionState.CLOSED:
            remedy = _REMEDY[self._state]
            self._refuse(_refusal("invalid_state", f"{event.value} is not taken now: {remedy}"))
            if event is SessionEvent.DONE:  # it came to its end while the other was spoken: nothing of it is to come
                self._next_spoiled = False

    def _refuse(self, message: ErrorMessage) -> None:
        if self._state is SessionState.CLOSED:
            return
        if self._state is SessionState.SPEAKING:
            self._next_spoiled = True
        else:
            self._text = ""
        self._send(message)
        self._advance(SessionEvent.REFUSED)

    def _send(self, message: ServerMessage) -> None:
        self._actions.append(SendText(message.model_dump_json()))

    def _advance(self, event: SessionEvent) -> None:
        self._state = TRANSITIONS[self._state][event]


def _refusal(code: ErrorCode, message: str, *, param: str | None = None) -> ErrorMessage:
    return ErrorMessage(message=message, code=code, param=param)
