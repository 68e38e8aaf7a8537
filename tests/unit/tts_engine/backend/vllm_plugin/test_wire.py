from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.vllm_plugin.wire import SPOKE, RowFormat, Unpacker, pack

FORMAT = RowFormat(samples=6, codebooks=3)


def packets(sizes: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    return [
        (random.integers(-5, 2**62, n), random.integers(-(2**15), 2**15, (n, FORMAT.width), np.int16)) for n in sizes
    ]


@given(sizes=st.lists(st.integers(0, 5), max_size=6), cuts=st.lists(st.integers(0, 600), max_size=12))
def test_packets_cut_anywhere_are_those_sent(sizes: list[int], cuts: list[int]):
    sent = packets(sizes)
    data = b"".join(bytes(part) for keys, rows in sent for part in pack(keys, rows))
    unpacker, got = Unpacker(), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in pairwise(edges):
        got += unpacker.feed(data[begin:end])
    assert len(got) == len(sent)
    for (keys, rows), (sent_keys, sent_rows) in zip(got, sent, strict=True):
        assert np.array_equal(keys, sent_keys)
        assert np.array_equal(rows, sent_rows)


def test_rows_that_are_not_contiguous_are_sent_as_they_read():
    keys, rows = np.arange(8)[::2], np.arange(8 * FORMAT.width, dtype=np.int16).reshape(8, -1)[::2]
    [(got_keys, got_rows)] = Unpacker().feed(b"".join(bytes(part) for part in pack(keys, rows)))
    assert got_keys.tolist() == keys.tolist()
    assert got_rows.tolist() == rows.tolist()


@pytest.mark.parametrize("header", [b"HTTP/1.1 200", b"CSM1" + b"\xff" * 8])
def test_what_is_no_packet_is_refused(header: bytes):
    with pytest.raises(ValueError, match="no stream of speech frames"):
        Unpacker().feed(header)


def test_a_row_has_sound_codes_number_and_flags():
    row = np.array([1, 2, 3, 4, 5, 6, 30, 31, 32, 9, SPOKE], np.int16)
    assert np.frombuffer(FORMAT.pcm(row), "<i2").tolist() == [1, 2, 3, 4, 5, 6]
    assert np.frombuffer(FORMAT.codes(row), "<i2").tolist() == [30, 31, 32]
    assert FORMAT.width == len(row)
