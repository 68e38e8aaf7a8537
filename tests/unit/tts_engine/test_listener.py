from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tts_engine.errors import SpeechUnavailableError
from tts_engine.listener import listening_at


def test_a_unix_socket_is_for_this_user_and_its_group_and_goes_in_the_end(tmp_path: Path):
    path = tmp_path / "engine.sock"
    with listening_at(path), socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(path))
        assert path.stat().st_mode & 0o777 == 0o660
    assert not path.exists()


def test_what_a_killed_process_has_left_is_taken_over(tmp_path: Path):
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening_at(path) as listener, socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(path))
        assert listener.getsockname() == str(path)


def test_the_socket_of_one_that_lives_is_left_alone(tmp_path: Path):
    path = tmp_path / "engine.sock"
    with (
        listening_at(path),
        pytest.raises(SpeechUnavailableError, match=r"engine\.sock: another process listens there"),
        listening_at(path),
    ):
        pass
    assert not path.exists()


def test_a_path_that_cannot_be_had_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "none" / "engine.sock"):
        with pytest.raises(SpeechUnavailableError, match=str(path)), listening_at(path):
            pass
    assert (tmp_path / "file").exists()
