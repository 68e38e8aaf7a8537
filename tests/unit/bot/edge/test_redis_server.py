"""Ports for the service's own children."""

from __future__ import annotations

import pytest

from bot.edge.redis_server import free_port


class _Socket:
    """Has some ports taken."""

    taken: frozenset[int] = frozenset({8077})

    def __init__(self) -> None:
        self._port = 0

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def setsockopt(self, *_: int) -> None:
        return

    def bind(self, place: tuple[str, int]) -> None:
        if place[1] in self.taken:
            raise OSError("in use")
        self._port = place[1] or 40_000

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self._port


@pytest.mark.parametrize(("wanted", "given"), [(8078, 8078), (8077, 40_000), (0, 40_000)])
def test_the_wanted_port_is_given_if_it_is_free(monkeypatch: pytest.MonkeyPatch, wanted: int, given: int) -> None:
    monkeypatch.setattr("bot.edge.redis_server.socket.socket", _Socket)
    assert free_port(wanted=wanted) == given
