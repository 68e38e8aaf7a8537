from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.csm_engine import Failed, Finished, Job, Recalled, Refused, Spoke
from tts_engine.backend.engine_wire import (
    MAX_BODY_BYTES,
    Abort,
    EngineDescription,
    EngineMessage,
    EngineState,
    EngineUnpacker,
    ReadAhead,
    Submit,
    buffers,
    pack,
)
from tts_engine.model.prompt import Passage, Prompt
from tts_engine.model.sampling import Sampling

CODEBOOKS = 4
KEYS = st.integers(0, 2**63 - 1)


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    passages: list[Passage] = []
    for count in draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)):
        tokens = np.array(draw(st.lists(st.integers(0, 200_000), min_size=1, max_size=5)), np.int32)
        codes = draw(st.integers(0, 2000)) + np.arange(count * CODEBOOKS, dtype=np.int16).reshape(-1, CODEBOOKS)
        passages.append(Passage(tokens, (codes, np.zeros((1, CODEBOOKS), np.int16)) if count else ()))
    return Prompt(tuple(passages), CODEBOOKS)


SAMPLINGS = st.builds(
    Sampling,
    st.floats(0, 2),
    st.floats(0, 2),
    st.integers(1, 2051),
    st.integers(0, 2**63 - 1),
)
MESSAGES: st.SearchStrategy[EngineMessage] = st.one_of(
    st.builds(EngineDescription, st.text(), st.text(), *(st.integers(0, 4096) for _ in range(4))),
    st.builds(EngineState, st.text()),
    st.builds(Submit, st.builds(Job, KEYS, prompts(), SAMPLINGS, st.integers(1, 5000))),
    st.builds(Abort, KEYS),
    st.builds(ReadAhead, prompts()),
    st.builds(Spoke, KEYS, st.binary(max_size=50), st.binary(max_size=20)),
    st.builds(Recalled, KEYS, st.integers(0, 2048)),
    st.builds(Finished, KEYS, st.sampled_from(["stop", "length"])),
    st.builds(Failed, KEYS, st.text()),
    st.builds(Refused, KEYS, st.text()),
)


def fed(unpacker: EngineUnpacker, data: bytes) -> list[EngineMessage]:
    """As a socket gives it: at most what there is room for."""
    got: list[EngineMessage] = []
    while data:
        room = unpacker.room()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        data = data[count:]
        got += unpacker.received(count)
    return got


def key_of(message: EngineMessage) -> int:
    return message.job.key if isinstance(message, Submit) else getattr(message, "key", 0)


def told(message: EngineMessage) -> object:
    """What of a message can be compared: numpy's arrays have no equality of their own."""
    match message:
        case Submit(job):
            return job.key, job.sampling, job.max_frames, job.prompt.tokens.tolist(), job.prompt.codes.tolist()
        case ReadAhead(prompt):
            return prompt.tokens.tolist(), prompt.codes.tolist()
        case _:
            return message


@given(messages=st.lists(MESSAGES, max_size=6), cuts=st.lists(st.integers(0, 800), max_size=8))
def test_messages_cut_anywhere_are_those_sent(messages: list[EngineMessage], cuts: list[int]):
    data = b"".join(pack(message, key_of(message)) for message in messages)
    unpacker, got = EngineUnpacker(CODEBOOKS), list[EngineMessage]()
    for begin, end in pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]):
        got += fed(unpacker, data[begin:end])
    assert [told(message) for message in got] == [told(message) for message in messages]


def test_a_message_of_many_times_the_usual_room_is_read():
    long = Spoke(3, bytes(range(256)) * 12_000, b"c")
    assert fed(EngineUnpacker(CODEBOOKS), pack(long, 3) + pack(Abort(4), 4)) == [long, Abort(4)]


def test_sound_is_passed_on_in_the_very_buffers_that_it_came_in():
    spoke = Spoke(7, bytes(3840), bytes(64))
    *_, pcm, codes = buffers(spoke, 12)
    assert (pcm is spoke.pcm, codes is spoke.codes) == (True, True)


def test_a_job_has_the_name_that_the_other_side_knows_it_by():
    assert fed(EngineUnpacker(CODEBOOKS), pack(Spoke(7, b"ab", b"c"), 12)) == [Spoke(12, b"ab", b"c")]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        struct.pack("<IBq", 0, 10, 1),  # of no kind
        struct.pack("<IBq", MAX_BODY_BYTES + 1, 5, 1),
        struct.pack("<IBq", 2, 5, 1) + b"ab",  # sound without its length
        struct.pack("<IBqI", 6, 5, 1, 3) + b"ab",  # sound that is cut short
        struct.pack("<IBq", 2, 0, 0) + b"{}",  # a description that describes nothing
        struct.pack("<IBq", 1, 7, 1) + b"\x05",  # an end of no kind
        struct.pack("<IBq", 1, 8, 1) + b"\xff",  # no UTF-8
        struct.pack("<IBqI", 4, 4, 0, 5),  # a prompt that is cut short
        struct.pack("<IBqIII", 12, 4, 0, 2, 0, 3),  # one without its frames
        struct.pack("<IBqI", 4, 4, 0, 1) + bytes(4),  # one with half of a passage
    ],
)
def test_what_is_no_message_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        fed(EngineUnpacker(CODEBOOKS), data)


def test_codes_of_another_model_are_refused():
    passage = Passage(np.ones(1, np.int32), (np.ones((1, CODEBOOKS), np.int16),))
    job = Job(1, Prompt((passage,), CODEBOOKS), Sampling(), 5)
    with pytest.raises(ValueError, match="reshape"):
        fed(EngineUnpacker(CODEBOOKS + 1), pack(Submit(job), 1))
