"""Addresses of servers, checked where they are written."""

from __future__ import annotations

import pytest

from tts_engine.urls import address, redis_url


def test_redis_may_be_reached_by_a_socket_file_and_may_be_left_out() -> None:
    for url in ("", "redis://127.0.0.1:6379/0", "rediss://:secret@redis.example", "unix:///run/redis.sock"):
        assert redis_url(url) == url
    for url in ("localhost:6379", "http://localhost", "redis://", "unix://"):
        with pytest.raises(ValueError, match="begin with redis://"):
            redis_url(url)


@pytest.mark.parametrize("url", ["http://10.0.0.1:8100", "https://[::1]:8100/v1?x=@", ""])
def test_an_address_is_shown_without_a_name_and_a_password(url: str) -> None:
    assert address(url) == url
    assert address(url.replace("://", "://name:p%40ss@")) == url
