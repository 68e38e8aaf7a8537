"""Messages out of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.sip.message import MAX_HEAD_BYTES
from telephony.sip.stream import Broken, Framed, Ping, StreamFramer, StreamOutput
from tests.unit.telephony.sip.messages import OFFER, request_bytes

INVITE = request_bytes(body=OFFER)
BYE = request_bytes("BYE").replace(b"Content-Length", b"l")


def drain(framer: StreamFramer) -> list[StreamOutput]:
    outputs: list[StreamOutput] = []
    while (output := framer.poll()) is not None:
        outputs.append(output)
    return outputs


def cut(*pieces: bytes) -> list[StreamOutput]:
    framer = StreamFramer()
    for piece in pieces:
        framer.feed(piece)
    return drain(framer)


def test_messages_on_one_stream_are_told_apart() -> None:
    assert cut(INVITE + BYE + INVITE) == [Framed(INVITE), Framed(BYE), Framed(INVITE)]


def test_a_keep_alive_is_a_ping_and_an_empty_line_is_nothing() -> None:
    assert cut(b"\r\n\r\n" + BYE + b"\r\n" + BYE + b"\r\n\r\n") == [Ping(), Framed(BYE), Framed(BYE), Ping()]


def test_an_unfinished_message_waits_for_the_rest() -> None:
    framer = StreamFramer()
    framer.feed(INVITE[:-1])

    assert (drain(framer), framer.mid_message) == ([], True)
    framer.feed(INVITE[-1:])
    assert (drain(framer), framer.mid_message) == ([Framed(INVITE)], False)


@pytest.mark.parametrize(
    "message",
    [
        BYE.replace(b"l: 0", b"X: 0"),
        BYE.replace(b"l: 0", b"l: -5"),
        BYE.replace(b"l: 0", b"l: 0\r\nContent-Length: 4"),
        BYE.replace(b"l: 0", b"l: 65535"),
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_a_stream_that_cannot_be_followed_breaks_once_and_for_all(message: bytes) -> None:
    framer = StreamFramer()
    framer.feed(BYE + message)
    framer.feed(BYE)

    first, broken = drain(framer)
    assert first == Framed(BYE)
    assert isinstance(broken, Broken)
    assert message.startswith(broken.head)
    assert not framer.mid_message


def test_a_length_may_be_folded_onto_the_next_line() -> None:
    folded = BYE.replace(b"l: 0", b"Content-Length :\r\n  0")

    assert cut(folded) == [Framed(folded)]


PARTS = st.lists(
    st.sampled_from([INVITE, BYE, b"\r\n\r\n", b"\r\n", BYE.replace(b"l: 0", b"X: 0"), b"\rgarbage\n"]), max_size=6
)


@given(parts=PARTS, cuts=st.lists(st.integers(0, 3000), max_size=20))
def test_a_stream_cut_anywhere_equals_the_whole(parts: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(parts)
    edges = [0, *sorted(at for at in cuts if at < len(whole)), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]

    assert cut(*pieces) == cut(whole)


def test_a_stream_that_comes_byte_by_byte_equals_the_whole() -> None:
    whole = b"\r\n\r\n" + INVITE + b"\r\n" + BYE

    assert cut(*(whole[at : at + 1] for at in range(len(whole)))) == cut(whole)


def test_an_empty_line_is_seen_and_is_no_message_that_has_begun() -> None:
    framer = StreamFramer()
    framer.feed(b"\r\n")

    assert (framer.at_empty_line, framer.mid_message) == (True, False)
    framer.feed(BYE)
    assert (framer.at_empty_line, drain(framer)) == (False, [Framed(BYE)])
