from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.vllm_plugin.wire import SPOKE, RowFormat, Unpacker, pack, row_bytes

FORMAT = RowFormat(samples=6, codebooks=3)


def packets(sizes: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    return [
        (random.integers(-5, 2**62, n), random.integers(-(2**15), 2**15, (n, FORMAT.width), np.int16)) for n in sizes
    ]


def unpack(unpacker: Unpacker, data: bytes) -> list[tuple[np.ndarray, np.ndarray]]:
    """As a socket gives it: at most what there is room for."""
    got: list[tuple[np.ndarray, np.ndarray]] = []
    while data:
        room = unpacker.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        data = data[count:]
        if (packet := unpacker.received(count)) is not None:
            got.append((packet[0].copy(), packet[1].copy()))
    return got


@given(sizes=st.lists(st.integers(0, 5), max_size=6), cuts=st.lists(st.integers(0, 600), max_size=12))
def test_packets_cut_anywhere_are_those_sent(sizes: list[int], cuts: list[int]):
    sent = packets(sizes)
    data = b"".join(bytes(part) for keys, rows in sent for part in pack(keys, rows))
    unpacker, got = Unpacker(), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in pairwise(edges):
        got += unpack(unpacker, data[begin:end])
    assert len(got) == len(sent)
    for (keys, rows), (sent_keys, sent_rows) in zip(got, sent, strict=True):
        assert np.array_equal(keys, sent_keys)
        assert np.array_equal(rows, sent_rows)


def test_rows_that_are_not_contiguous_are_sent_as_they_read():
    keys, rows = np.arange(8)[::2], np.arange(8 * FORMAT.width, dtype=np.int16).reshape(8, -1)[::2]
    [(got_keys, got_rows)] = unpack(Unpacker(), b"".join(bytes(part) for part in pack(keys, rows)))
    assert got_keys.tolist() == keys.tolist()
    assert got_rows.tolist() == rows.tolist()


@pytest.mark.parametrize("header", [b"HTTP/1.1 200", b"CSM1" + b"\xff" * 8])
def test_what_is_no_packet_is_refused(header: bytes):
    with pytest.raises(ValueError, match="no stream of speech frames"):
        unpack(Unpacker(), header)


def test_a_row_has_sound_codes_number_and_flags():
    rows = np.array([[0] * 11, [1, 2, 3, 4, 5, 6, 30, 31, 32, 9, SPOKE]], np.int16)
    sound, codes, end = FORMAT.cuts
    row = row_bytes(rows)[end:]
    assert np.frombuffer(row[:sound], "<i2").tolist() == [1, 2, 3, 4, 5, 6]
    assert np.frombuffer(row[sound:codes], "<i2").tolist() == [30, 31, 32]
    assert (FORMAT.width, len(row)) == (11, end)
