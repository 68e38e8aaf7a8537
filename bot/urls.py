"""Addresses in settings and on command lines, checked where they are written: without its scheme one leads nowhere."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def http_url(text: str) -> str:
    """Give back the address of an HTTP service; raises `ValueError` with the remedy for anything else."""
    if not _has_host(text, ("http", "https")):
        raise ValueError(f"{text!r} is no URL: begin with http:// or https://, such as http://127.0.0.1:8100")
    return text


def redis_url(text: str) -> str:
    """Give back the address of a Redis server, or an empty one; raises `ValueError` with the remedy."""
    if text and not (_has_host(text, ("redis", "rediss")) or re.match(r"unix://.*/", text)):
        raise ValueError(
            f"{text!r} is no URL of Redis: begin with redis://, rediss:// or unix://, such as redis://127.0.0.1:6379/0"
        )
    return text


def bare_host(text: str) -> str:
    """Give back `host` or `host:port`; raises `ValueError` with the remedy for a URL or a path."""
    if not text or re.search(r"[/\s@?]", text):
        host = urlsplit(text if "://" in text else f"//{text}").netloc.rpartition("@")[2] or "crm.local"
        raise ValueError(f"{text!r} is no host: write host or host:port, such as {host}")
    return text


def _has_host(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in schemes and bool(url.hostname) and url.port != 0 and not re.search(r"\s", text)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


HttpUrl = Annotated[str, AfterValidator(http_url)]
OptionalHttpUrl = Annotated[str, AfterValidator(lambda text: text and http_url(text))]
RedisUrl = Annotated[str, AfterValidator(redis_url)]
BareHost = Annotated[str, AfterValidator(bare_host)]
