"""Rows cleaned by several processes, which end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from finetune.data.clean import Outcome, clean
from finetune.data.clip import Utterance
from finetune.data.settings import PrepareSettings
from finetune.errors import CorpusError

Cleaned = tuple[str, tuple[Outcome, ...]]
"""A row's id and what became of it."""


def cleaned(utterances: Iterable[Utterance], settings: PrepareSettings) -> Iterator[Cleaned]:
    """Clean rows as `settings.workers` says, in the order in which they are done; raises CorpusError if one dies."""
    workers = settings.workers or os.cpu_count() or 1
    if workers == 1:
        for utterance in utterances:
            yield utterance.id, clean(utterance, settings)
        return
    # spawned, since forking a process that has threads of torch can hang
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
        try:
            yield from _spread(pool, utterances, settings, 4 * workers)
        except BrokenProcessPool as error:
            raise CorpusError(
                "a worker was ended by the system, mostly for want of memory: set `workers` lower; what is done is kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else an interrupt waits for all that is asked for
            raise


def _spread(
    pool: ProcessPoolExecutor, utterances: Iterable[Utterance], settings: PrepareSettings, at_once: int
) -> Iterator[Cleaned]:
    pending: dict[Future[tuple[Outcome, ...]], str] = {}
    source = iter(utterances)
    while True:
        # few at a time: a corpus with sound in its rows must not be in memory as a whole
        for utterance in islice(source, at_once - len(pending)):
            pending[pool.submit(clean, utterance, settings)] = utterance.id
        if not pending:
            return
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            yield pending.pop(future), future.result()


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and go when it does: one that is killed takes no worker with it, and they wait."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
