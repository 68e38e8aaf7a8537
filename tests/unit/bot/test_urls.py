"""Addresses, checked where they are written."""

from __future__ import annotations

import pytest

from bot.urls import bare_host, http_url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8100", "https://hub.example/models", "http://[::1]:8100/v1"])
def test_a_web_address_is_taken_as_it_is(url: str) -> None:
    assert http_url(url) == url


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8100", "localhost", "", "http://", "http:/gpu", "ftp://gpu", "http://gpu:port", "http://a b"]
)
def test_anything_else_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match=r"begin with http:// or https://, such as http://127\.0\.0\.1:8100"):
        http_url(url)


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
