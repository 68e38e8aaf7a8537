"""What can go wrong between a speech client and the speech server.

SpeechError
├── SpeechRequestError      the request is wrong; `field` names what     (client's fault, do not retry)
├── SpeechCapacityError     every stream is taken                        (retry after `retry_after_s`)
├── SpeechUnavailableError  no server, engine restarting, broken link    (retry soon)
└── SpeechEngineError       the engine failed on this request            (server's fault, retry once)
    └── SpeechSilenceError  no sound came in time; a client's word       (server's fault, ask another)
"""

from __future__ import annotations


class SpeechError(Exception):
    """Base of all speech errors."""

    retryable = False


class SpeechRequestError(SpeechError):
    """The request is wrong; `field` names the part and the message the remedy."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class SpeechCapacityError(SpeechError):
    """Every stream is taken."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SpeechUnavailableError(SpeechError):
    """No server answers, the engine restarts, or the link broke."""

    retryable = True


class SpeechEngineError(SpeechError):
    """The engine failed on this request."""

    retryable = True


class SpeechSilenceError(SpeechEngineError):
    """The server took the request, and no sound came in time: it has too much to do, hangs, or cannot be reached."""
