from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import torch

from tts_engine.backend.vllm_plugin.inlet import Inlet
from tts_engine.backend.vllm_plugin.outlet import DirectOutlet, SocketSender
from tts_engine.backend.vllm_plugin.wire import ENDED, SPOKE, Keys, Rows


def rows(*flags: int) -> torch.Tensor:
    rows = torch.arange(len(flags) * 5, dtype=torch.int16).view(-1, 5)
    rows[:, -1] = torch.tensor(flags, dtype=torch.int16)
    return rows


def never() -> None:
    raise AssertionError("nobody has gone")


def test_only_rows_that_say_something_are_passed_on():
    sent: list[tuple[list[int], list[list[int]]]] = []
    outlet = DirectOutlet(lambda keys, rows: sent.append((keys.tolist(), rows.tolist())))
    outlet.emit(np.array([10, 20, 30]), rows(SPOKE, 0, ENDED))
    outlet.emit(np.array([10, 20]), rows(0, 0))
    assert sent == [([10, 30], [[0, 1, 2, 3, SPOKE], [10, 11, 12, 13, ENDED]])]


def test_those_that_ended_are_told_once():
    outlet = DirectOutlet(lambda _keys, _rows: None)
    outlet.emit(np.array([10, 20, 30]), rows(SPOKE, ENDED, ENDED))
    assert outlet.ended() == [20, 30]
    assert outlet.ended() == []
    outlet.close()


def test_what_is_sent_from_one_process_is_taken_in_the_other(tmp_path: Path):
    taken: list[tuple[list[int], list[list[int]]]] = []
    lost, some = threading.Event(), threading.Event()

    def take(keys: Keys, rows: Rows) -> None:
        taken.append((keys.tolist(), rows.tolist()))
        some.set()

    inlet = Inlet(tmp_path / "s", take, lost.set)
    sender = SocketSender(tmp_path / "s", gone=never)
    sender(np.array([5]), rows(SPOKE).numpy())
    assert some.wait(10)
    sender.close()
    assert lost.wait(10)
    inlet.close()
    assert taken == [([5], [[0, 1, 2, 3, SPOKE]])]


def test_an_inlet_that_nobody_came_to_is_closed_without_a_word(tmp_path: Path):
    lost = threading.Event()
    Inlet(tmp_path / "s", lambda _keys, _rows: None, lost.set).close()
    assert not lost.is_set()


def test_an_inlet_closed_while_the_other_side_lives_stops(tmp_path: Path):
    some = threading.Event()
    inlet = Inlet(tmp_path / "s", lambda _keys, _rows: some.set(), lambda: None)
    sender = SocketSender(tmp_path / "s", gone=never)
    sender(np.array([5]), rows(SPOKE).numpy())
    assert some.wait(10)
    inlet.close()
    sender.close()


LISTEN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
print("listening", flush=True)
peer, _ = listener.accept()
peer.recv(1)
"""


def test_a_server_that_is_killed_is_noticed(tmp_path: Path):
    gone = threading.Event()
    command = [sys.executable, "-c", LISTEN, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        sender = SocketSender(tmp_path / "s", gone=gone.set)
        server.kill()
    assert gone.wait(10)
    sender.close()


def test_a_sender_that_is_closed_misses_nobody(tmp_path: Path):
    command = [sys.executable, "-c", LISTEN, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        SocketSender(tmp_path / "s", gone=never).close()
        assert server.wait(10) == 0
    while any(thread.name == "csm-server-watch" for thread in threading.enumerate()):
        pass
