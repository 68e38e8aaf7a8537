"""A caller behind a router that hides him, in network namespaces: by SIP and as by a page."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.integration.telephony.nat_call import NO_ROUTER
from tests.waiting import START_S

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
async def test_a_caller_behind_nat_hears_the_bot_and_is_heard() -> None:
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", sys.executable, str(Path(__file__).with_name("nat_call.py"))),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), START_S)
    if process.returncode == NO_ROUTER:
        pytest.skip("this system lets nobody forward packets")
    assert process.returncode == 0, errors.decode()[-3000:]

    found = json.loads(output)
    there, here = found["expected"]
    assert found["here"] == pytest.approx([there, there], abs=5)
    assert found["there"] == pytest.approx([here, here], abs=5)
