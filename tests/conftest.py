"""Marks tests by their folder and keeps unit tests off the network."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# As the Makefile sets it, for tests that are run without it. Libraries read it once, when they are loaded: numpy, which
# a plugin of pytest loads, has done so; torch and what tests start have not.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as `zeng` does; tests open networks without it

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("ci")

_FOLDERS = ("unit", "integration", "e2e", "gpu")
_TEARDOWN_S = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        if folder in _FOLDERS:
            item.add_marker(getattr(pytest.mark, folder))


@pytest.fixture(autouse=True)
def _no_socket_in_unit_tests(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("unit") is not None:
        request.getfixturevalue("socket_disabled")


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Have torch draw the same in each test, whatever ran before: a near tie of random weights is no finding."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _teardown_hangs(*_: object) -> None:
    pytest.fail(f"what the failed test left behind has not ended in {_TEARDOWN_S:.0f} s", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Time a failed test's teardown too: pytest-timeout stops its clock at the failure, and a hang would last."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:  # its clock runs
        return (yield)
    before = signal.signal(signal.SIGALRM, _teardown_hangs)
    signal.setitimer(signal.ITIMER_REAL, _TEARDOWN_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
