"""Addresses of HTTP services in settings and on command lines, checked where they are written, as `tts_engine.urls`."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from tts_engine.urls import has_host


def http_url(text: str) -> str:
    """Give back the address of an HTTP service; raises `ValueError` with the remedy for anything else."""
    if not has_host(text, ("http", "https")):
        raise ValueError(f"{text!r} is no URL: begin with http:// or https://, such as http://127.0.0.1:8100")
    return text


def bare_host(text: str) -> str:
    """Give back `host` or `host:port`; raises `ValueError` with the remedy for a URL or a path."""
    if not text or re.search(r"[/\s@?]", text):
        host = urlsplit(text if "://" in text else f"//{text}").netloc.rpartition("@")[2] or "crm.local"
        raise ValueError(f"{text!r} is no host: write host or host:port, such as {host}")
    return text


HttpUrl = Annotated[str, AfterValidator(http_url)]
OptionalHttpUrl = Annotated[str, AfterValidator(lambda text: text and http_url(text))]
BareHost = Annotated[str, AfterValidator(bare_host)]
