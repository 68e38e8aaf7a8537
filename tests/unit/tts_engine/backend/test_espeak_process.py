from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.backend.espeak_process import AUDIO, END, JOB, EspeakJob, frame, read_frame


@given(st.lists(st.tuples(st.sampled_from([AUDIO, END, JOB]), st.binary(max_size=100)), max_size=10))
def test_frames_come_out_as_they_went_in(frames: list[tuple[bytes, bytes]]) -> None:
    stream = io.BytesIO(b"".join(frame(kind, payload) for kind, payload in frames))

    assert list(iter(lambda: read_frame(stream), None)) == frames


def test_a_stream_that_ends_within_a_frame_has_ended() -> None:
    assert read_frame(io.BytesIO(frame(AUDIO, b"abcd")[:3])) is None


def test_a_job_is_one_frame_of_json() -> None:
    job = EspeakJob("az", 150, 50, "Salam, Şəki")

    kind, payload = read_frame(io.BytesIO(job.frame())) or (b"", b"")

    assert kind == JOB
    assert EspeakJob(**json.loads(payload)) == job
