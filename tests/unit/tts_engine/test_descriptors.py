"""The limit of open files, in processes of their own: it is lowered for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from tts_engine.descriptors import room_for_connections
print(room_for_connections(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "told"),
    [(512, 2048, "1792 2048 2048"), (300, 300, "150 300 300")],
    ids=["may be raised", "may not, and is small"],
)
def test_as_many_connections_are_taken_as_the_system_can_be_made_to_allow_but_for_what_else_is_opened(
    soft: int, hard: int, told: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(soft), str(hard)], check=True, capture_output=True, text=True
    )

    assert ran.stdout.strip() == told
