"""Addresses, checked where they are written."""

from __future__ import annotations

import pytest

from bot.urls import bare_host, http_url, redis_url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8100", "https://hub.example/models", "http://[::1]:8100/v1"])
def test_a_web_address_is_taken_as_it_is(url: str) -> None:
    assert http_url(url) == url


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8100", "localhost", "", "http://", "http:/gpu", "ftp://gpu", "http://gpu:port", "http://a b"]
)
def test_anything_else_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match=r"begin with http:// or https://, such as http://127\.0\.0\.1:8100"):
        http_url(url)


def test_redis_may_be_reached_by_a_socket_file_and_may_be_left_out() -> None:
    for url in ("", "redis://127.0.0.1:6379/0", "rediss://:secret@redis.example", "unix:///run/redis.sock"):
        assert redis_url(url) == url
    for url in ("localhost:6379", "http://localhost", "redis://", "unix://"):
        with pytest.raises(ValueError, match="begin with redis://"):
            redis_url(url)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("http://10.0.0.1:80", "such as 10.0.0.1:80"),
        ("https://x:y@crm.local/api", "such as crm.local"),
        ("crm.local/api", "such as crm.local"),
        ("", "such as crm.local"),
    ],
)
def test_a_host_is_no_url(text: str, remedy: str) -> None:
    assert bare_host("crm.local:8443") == "crm.local:8443"
    with pytest.raises(ValueError, match=remedy):
        bare_host(text)
