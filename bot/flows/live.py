"""A flow file that may be edited while calls run, or what it includes: new calls get the new version.

Calls in progress keep theirs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import structlog

from bot.flows.flow import Flow
from bot.flows.loader import parse_flow, read_text, sources
from bot.flows.problems import FlowFileError

_log = structlog.get_logger(__name__)


class LiveFlow:
    """Gives the newest version of a flow file that has no errors; raises `FlowFileError` when the first has some."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._flow, self._version = _load(path)
        self.problem: FlowFileError | None = None  # why the file as it is now is not served, if it is not

    @property
    def version(self) -> str:
        """The first digits of the SHA-256 of the files that are served, for records of calls."""
        return self._version

    def current(self) -> Flow:
        """Give the flow for a new call."""
        return self._flow

    def refresh(self) -> bool:
        """Read the files again if the time or size of one has changed; tells whether there is a new version.

        Takes a tenth of a second of work when it has, so not in an event loop that carries calls.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        log = _log.bind(file=str(self._path))
        try:
            flow, version = _load(self._path)
        except FlowFileError as error:
            self.problem = error
            log.warning("flow refused, calls go on with the old one", version=self._version, problems=str(error))
            return False
        mended, self.problem = self.problem is not None, None
        if version == self._version and not mended:
            return False  # of an include that this flow has not
        self._flow, self._version = flow, version
        log.info("flow loaded, new calls get it", version=self._version)
        return True


def _load(path: Path) -> tuple[Flow, str]:
    digest = hashlib.sha256()
    text = read_text(path)
    flow = parse_flow(text, file=str(path))
    digest.update(text.encode())
    for source in sources(path)[1:]:
        if source.stem in flow.include:
            digest.update(read_text(source).encode())
    return flow, digest.hexdigest()[:12]


def _stamp(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Give time and size of each file; None for one that is away (an editor may replace it)."""
    return tuple(map(_times, sources(path)))


def _times(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
