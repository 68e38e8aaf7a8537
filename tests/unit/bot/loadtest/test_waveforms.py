from __future__ import annotations

import base64
import struct
from xml.etree import ElementTree

import numpy as np
import pytest

from bot.loadtest.clips import clip_of
from bot.loadtest.waveforms import audio, clip_sound, lay, picture
from telephony.audio.g711 import MU_LAW
from tests.fakes.talking_bot import speech

ONES = np.full(800, 1000, np.int16)  # 0.1 s


def test_sounds_lie_where_they_were_said_and_what_juts_out_is_cut() -> None:
    lane = lay([(ONES, -0.05), (ONES, 0.2), (ONES, 0.95), (ONES, 3.0), (ONES, -3.0)], 1.0)

    edges = np.flatnonzero(np.diff(lane)).tolist()
    assert edges == [399, 1599, 2399, 7599]
    assert len(lane) == 8000


def test_a_clip_is_its_sound_at_a_telephones_rate_and_where_its_voice_ends() -> None:
    sound, end_s = clip_sound(clip_of(np.concatenate([speech(1.0), np.zeros(3200, np.int16)])))

    assert len(sound) == pytest.approx(9600, abs=200)
    assert end_s == pytest.approx(1.0, abs=0.02)


def test_the_players_sound_is_stereo_mu_law_with_the_caller_on_the_left() -> None:
    player = audio(ONES, np.full(800, -2000, np.int16))

    whole = base64.b64decode(player.partition("base64,")[2].partition('"')[0])
    assert whole[:4] == b"RIFF"
    assert struct.unpack("<I", whole[4:8])[0] == len(whole) - 8
    assert struct.unpack("<HHIIHH", whole[20:36]) == (7, 2, 8000, 16000, 2, 8)
    left, right = MU_LAW.decode(whole[-1600:]).reshape(-1, 2).T
    assert left.mean() == pytest.approx(1000, rel=0.03)
    assert right.mean() == pytest.approx(-2000, rel=0.03)


def test_the_wait_and_the_gaps_are_marked_in_the_picture() -> None:
    drawn = picture("a", ONES, ONES, length_s=1.0, wait=(0.2, 0.62), gaps=[(0.7, 0.8)], marks={"key": 0.2})

    root = ElementTree.fromstring(drawn)
    assert [rect.attrib["class"] for rect in root.findall("rect")] == ["wait", "gap"]
    assert "420 ms" in drawn
    assert "gap of 100 ms" in drawn
    assert "key" in drawn
