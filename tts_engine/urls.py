"""Addresses of servers, checked where they are written: without its scheme one leads nowhere."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def redis_url(text: str) -> str:
    """Give back the address of a Redis server, or an empty one; raises `ValueError` with the remedy."""
    if text and not (has_host(text, ("redis", "rediss")) or re.match(r"unix://.*/", text)):
        raise ValueError(
            f"{text!r} is no URL of Redis: begin with redis://, rediss:// or unix://, such as redis://127.0.0.1:6379/0"
        )
    return text


def has_host(text: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether it is a URL of one of these schemes that leads to a host."""
    try:
        url = urlsplit(text)
        return url.scheme in schemes and bool(url.hostname) and url.port != 0 and not re.search(r"\s", text)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def address(url: str) -> str:
    """Give what may be shown of a URL: without the name and the password that may stand before its host."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


RedisUrl = Annotated[str, AfterValidator(redis_url)]
