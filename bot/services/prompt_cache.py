"""`PromptCache`: speech that is the same in every call, kept as PCM. Least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict


class PromptCache:
    """Maps (voice, text) to PCM16 at 24 kHz, within a budget of bytes."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._prompts: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def get(self, voice: str, text: str) -> bytes | None:
        """Return the prompt, if it is kept."""
        key = (voice, text)
        if key not in self._prompts:
            return None
        self._prompts.move_to_end(key)
        return self._prompts[key]

    def put(self, voice: str, text: str, pcm: bytes) -> None:
        """Keep a prompt; one that is over the whole budget is not kept."""
        key = (voice, text)
        self._bytes -= len(self._prompts.pop(key, b""))
        if len(pcm) > self._max_bytes:
            return
        self._prompts[key] = pcm
        self._bytes += len(pcm)
        while self._bytes > self._max_bytes:
            _, oldest = self._prompts.popitem(last=False)
            self._bytes -= len(oldest)
