"""Files of the Hugging Face hub (or a mirror with its paths) over plain HTTPS, resumed where a download broke off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from bot.errors import ModelFileError
from bot.models.registry import HubSource, ModelFile
from bot.models.settings import ModelSettings


class Hub:
    """One conversation with a hub. Proxies are those of the environment, as for every HTTP client of the machine."""

    def __init__(self, settings: ModelSettings, client: httpx.Client) -> None:
        self._url = settings.hub_url.rstrip("/")
        self._check_timeout_s = settings.hub_check_timeout_s
        self._timeout = httpx.Timeout(settings.hub_read_timeout_s, connect=settings.hub_check_timeout_s)
        self._client = client

    def url(self, source: HubSource, file: ModelFile) -> str:
        """Where one file is."""
        return f"{self._url}/{source.repository}/resolve/{source.revision}/{file.name}"

    def check(self, source: HubSource, file: ModelFile) -> None:
        """Ask for a file's headers; raises `ModelFileError` where they do not come within `hub_check_timeout_s`."""
        try:
            answer = self._client.head(self.url(source, file), timeout=self._check_timeout_s, follow_redirects=True)
        except httpx.HTTPError as error:
            raise ModelFileError(f"{self._url} cannot be reached: {_reason(error)}") from error
        if answer.is_error:
            raise ModelFileError(f"{self._url} answered {answer.status_code} for {source.repository}/{file.name}")

    def download(self, source: HubSource, file: ModelFile, to: Path, *, report: Callable[[int, int], None]) -> None:
        """Write a file, going on from what `to` already holds; `report` is told bytes done and in all."""
        done = to.stat().st_size if to.is_file() else 0
        if done >= file.size_bytes:
            done = 0  # nothing to go on from: a whole file that was refused, or another file
        headers = {"Accept-Encoding": "identity"}  # a range of a compressed file is of no use
        if done:
            headers["Range"] = f"bytes={done}-"
        try:
            with self._client.stream(
                "GET", self.url(source, file), headers=headers, timeout=self._timeout, follow_redirects=True
            ) as answer:
                answer.raise_for_status()
                self._write(answer, to, done=done if answer.status_code == 206 else 0, file=file, report=report)
        except httpx.HTTPError as error:
            raise ModelFileError(f"{file.name} broke off: {_reason(error)}; run the command again to go on") from error

    @staticmethod
    def _write(
        answer: httpx.Response, to: Path, *, done: int, file: ModelFile, report: Callable[[int, int], None]
    ) -> None:
        with to.open("ab" if done else "wb") as out:
            for block in answer.iter_bytes():
                done += len(block)
                if done > file.size_bytes:
                    raise ModelFileError(f"{file.name} is longer than its {file.size_bytes} bytes")
                out.write(block)
                report(done, file.size_bytes)


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
