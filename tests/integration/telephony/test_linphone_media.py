"""Debian's linphonec in a network namespace of its own: Opus over SRTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.waiting import START_S

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
async def test_linphone_calls_with_opus_over_srtp(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", sys.executable, str(Path(__file__).with_name("linphone_call.py")), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 0, errors.decode()[-2000:]

    found = json.loads(output)
    assert (found["codec"], found["encrypted"], found["lost"]) == ("opus", True, 0)
    assert [found["pitch_here"], found["pitch_there"]] == pytest.approx(found["expected"], abs=5)
