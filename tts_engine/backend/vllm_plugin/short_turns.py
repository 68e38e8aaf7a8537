"""How long a thread keeps Python's interpreter while another waits for it.

The server's process has four threads between a request and its sound (its loop, vLLM's front end, the inlet, vLLM's
sockets), vLLM's own has three, and each of them waits for the interpreter once or twice a beginning. By itself a thread
that is busy keeps it for 5 ms: beside one such, a loop was 5.1 ms late (p95 6.6 to 10.7), with 1 ms 1.2 (p95 2.7), and
what was done in all was 2 to 5 % less.
"""

from __future__ import annotations

import sys

TURN_S = 0.001


def take_short_turns() -> None:
    """Have the threads of this process hand the interpreter over sooner."""
    sys.setswitchinterval(TURN_S)
