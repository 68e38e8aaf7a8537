from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tts_engine.errors import SpeechCapacityError, SpeechEngineError
from tts_engine.protocol import ContextUsed, SpeechRequest
from tts_engine.session import (
    TRANSITIONS,
    CloseSocket,
    Say,
    SendAudio,
    SendText,
    SessionAction,
    SessionEvent,
    SessionState,
    SpeechSession,
    StopSaying,
)

CONFIG = '{"type": "session.config", "voice": "az"}'
BAD_CONFIG = '{"type": "session.config", "tempo": 2}'
DONE = '{"type": "input.done"}'
CANCEL = '{"type": "input.cancel"}'
CLOSE = '{"type": "session.close"}'


def text(piece: str) -> str:
    return json.dumps({"type": "input.text", "text": piece})


def feed(session: SpeechSession, *messages: str) -> list[SessionAction]:
    for message in messages:
        session.receive(message)
    return drain(session)


def drain(session: SpeechSession) -> list[SessionAction]:
    return list(iter(session.poll, None))


def told(actions: list[SessionAction]) -> list[dict]:
    return [json.loads(action.text) for action in actions if isinstance(action, SendText)]


def types(actions: list[SessionAction]) -> list[str]:
    return [message["type"] for message in told(actions)]


def speaking() -> SpeechSession:
    session = SpeechSession()
    feed(session, CONFIG, text("Salam"), DONE)
    session.started(0, "t1")
    drain(session)
    return session


def test_pieces_of_text_are_spoken_as_one_when_they_are_done() -> None:
    session = SpeechSession()

    assert feed(session, CONFIG, text("Sal"), text("am.")) == []
    assert feed(session, DONE) == [Say(0, SpeechRequest(text="Salam.", voice="az"), 24_000)]
    assert session.state is SessionState.SPEAKING


def test_an_utterance_is_start_audio_done_and_session_done() -> None:
    session = SpeechSession()
    feed(session, text("Salam"), DONE)

    session.started(0, "t7")
    session.audio(0, b"ab" * 12_000)
    session.finished(0, ContextUsed(turns=3, seconds=9.5))
    start, audio, *rest = drain(session)

    assert told([start])[0] == {
        "type": "audio.start",
        "utterance_index": 0,
        "sentence_index": 0,
        "sentence_text": "Salam",
        "format": "pcm",
        "sample_rate": 24_000,
        "turn_id": "t7",
    }
    assert audio == SendAudio(b"ab" * 12_000)
    done, session_done = told(rest)
    assert done["type"] == "audio.done"
    assert (done["turn_id"], done["total_bytes"], done["duration_s"]) == ("t7", 24_000, 0.5)
    assert done["context_used"] == {"turns": 3, "seconds": 9.5, "cached_frames": 0}
    assert (done["error"], done["cancelled"]) == (False, False)
    assert session_done == {"type": "session.done", "utterance_index": 0, "total_sentences": 1}
    assert session.state is SessionState.READY


def test_an_utterance_that_was_stopped_by_a_limit_says_so() -> None:
    session = speaking()

    session.finished(0, ContextUsed(), truncated=True)

    assert [message.get("truncated") for message in told(drain(session))] == [True, None]


def test_settings_stay_for_the_next_utterance() -> None:
    session = speaking()
    session.finished(0, ContextUsed())
    drain(session)

    assert feed(session, text("Bəli"), DONE) == [Say(1, SpeechRequest(text="Bəli", voice="az"), 24_000)]


def test_duration_counts_at_the_rate_of_the_session() -> None:
    session = SpeechSession()
    feed(session, '{"type": "session.config", "sample_rate": 8000}', text("Salam"), DONE)
    session.started(0, "t1")
    session.audio(0, bytes(16_000))
    session.finished(0, ContextUsed())

    assert told(drain(session))[1]["duration_s"] == 1.0


def test_a_cancel_stops_the_voice_and_is_answered_at_once() -> None:
    session = speaking()
    session.audio(0, b"abcd")
    drain(session)

    actions = feed(session, CANCEL)

    assert actions[0] == StopSaying(0)
    done, session_done = told(actions)
    assert (done["cancelled"], done["total_bytes"]) == (True, 4)
    assert session_done["type"] == "session.done"
    assert session.state is SessionState.READY


def test_nothing_of_a_cancelled_utterance_is_sent_after_its_end() -> None:
    session = speaking()
    feed(session, CANCEL)

    session.audio(0, b"late")
    session.finished(0, ContextUsed())
    session.failed(0, SpeechEngineError("late"))
    session.started(0, "t1")

    assert drain(session) == []


def test_late_audio_does_not_leak_into_the_next_utterance() -> None:
    session = speaking()
    feed(session, CANCEL, text("İkinci"), DONE)

    session.audio(0, b"late")

    assert drain(session) == []


def test_a_cancel_before_the_start_has_no_audio_done() -> None:
    session = SpeechSession()
    feed(session, text("Salam"), DONE)

    actions = feed(session, CANCEL)

    assert actions[0] == StopSaying(0)
    assert types(actions) == ["session.done"]


def test_a_cancel_drops_text_that_was_not_done() -> None:
    session = SpeechSession()

    assert types(feed(session, text("Salam"), CANCEL)) == ["session.done"]
    assert feed(session, text("Bəli"), DONE) == [Say(1, SpeechRequest(text="Bəli"), 24_000)]


def test_a_cancel_that_crossed_the_end_is_not_answered() -> None:
    session = speaking()
    session.finished(0, ContextUsed())
    drain(session)

    assert feed(session, CANCEL) == []
    assert session.state is SessionState.READY


def test_refused_settings_spoil_the_text_that_came_with_them() -> None:
    session = SpeechSession()

    actions = feed(session, BAD_CONFIG, text("Salam"), DONE)

    error, done = told(actions)
    assert (error["code"], error["param"]) == ("invalid_request", "tempo")
    assert done == {"type": "session.done", "utterance_index": 0, "total_sentences": 0}
    assert len(actions) == 2
    assert session.state is SessionState.READY


def test_better_settings_make_good_a_refusal() -> None:
    session = SpeechSession()
    feed(session, BAD_CONFIG)

    assert feed(session, CONFIG, text("Salam"), DONE) == [Say(0, SpeechRequest(text="Salam", voice="az"), 24_000)]


def test_settings_in_the_middle_of_the_text_are_refused_and_spoil_it() -> None:
    session = SpeechSession()

    actions = feed(session, text("Salam"), CONFIG, text("."), DONE)

    assert [m.get("code") for m in told(actions)] == ["invalid_state", None]
    assert not any(isinstance(action, Say) for action in actions)


def test_only_cancel_and_close_are_taken_while_speaking() -> None:
    session = speaking()

    actions = feed(session, CONFIG, text("Salam"), DONE)

    assert [m["code"] for m in told(actions)] == ["invalid_state"] * 3
    assert "wait for session.done" in told(actions)[0]["message"]
    assert session.state is SessionState.SPEAKING


def test_settings_refused_while_it_speaks_spoil_the_text_that_comes_after_its_end() -> None:
    for refused in (CONFIG, BAD_CONFIG, text("Sal")):
        session = speaking()
        feed(session, refused)
        session.finished(0, ContextUsed())
        drain(session)

        assert told(feed(session, text("am"), DONE)) == [
            {"type": "session.done", "utterance_index": 1, "total_sentences": 0}
        ]
        assert session.state is SessionState.READY


def test_an_utterance_refused_whole_while_another_is_spoken_spoils_nothing_that_comes_later() -> None:
    session = speaking()
    feed(session, BAD_CONFIG, text("Salam"), DONE)
    session.finished(0, ContextUsed())
    drain(session)

    assert feed(session, text("Bəli"), DONE) == [Say(1, SpeechRequest(text="Bəli", voice="az"), 24_000)]


def test_a_cancel_drops_what_was_refused_while_it_spoke() -> None:
    session = speaking()
    feed(session, BAD_CONFIG, CANCEL)

    assert feed(session, text("Bəli"), DONE) == [Say(1, SpeechRequest(text="Bəli", voice="az"), 24_000)]


def test_a_binary_frame_is_refused() -> None:
    session = SpeechSession()

    session.receive_binary()

    assert told(drain(session))[0]["code"] == "invalid_request"


def test_text_beyond_the_limit_is_refused_however_it_is_cut() -> None:
    session = SpeechSession()

    actions = feed(session, text("a" * 4096), text("b"), text("c"), DONE)

    assert [m["type"] for m in told(actions)] == ["error", "session.done"]
    assert told(actions)[0]["param"] == "text"


def test_a_flush_without_text_is_answered_without_a_sentence() -> None:
    session = SpeechSession()

    assert told(feed(session, DONE)) == [{"type": "session.done", "utterance_index": 0, "total_sentences": 0}]


def test_blank_text_is_an_error_and_the_session_goes_on() -> None:
    session = SpeechSession()

    assert types(feed(session, text("  "), DONE)) == ["error", "session.done"]
    assert feed(session, text("Bəli"), DONE) == [Say(1, SpeechRequest(text="Bəli"), 24_000)]


def test_a_failure_in_the_middle_says_so_and_the_session_goes_on() -> None:
    session = speaking()
    session.audio(0, b"abcd")
    session.failed(0, SpeechEngineError("the voice broke"))

    actions = drain(session)

    assert types(actions) == ["error", "audio.done", "session.done"]
    assert told(actions)[0]["code"] == "engine_error"
    assert told(actions)[1]["error"] is True
    assert session.state is SessionState.READY


def test_no_free_place_closes_the_connection_with_try_again_later() -> None:
    session = SpeechSession()
    feed(session, text("Salam"), DONE)

    session.failed(0, SpeechCapacityError("every stream is taken", retry_after_s=2.0))
    actions = drain(session)

    assert told(actions)[0]["retry_after_s"] == 2.0
    assert actions[-1] == CloseSocket(1013, "at capacity")
    assert session.state is SessionState.CLOSED


def test_close_is_answered_by_closing() -> None:
    assert feed(SpeechSession(), CLOSE) == [CloseSocket(1000)]


def test_close_while_speaking_stops_the_voice() -> None:
    assert feed(speaking(), CLOSE) == [StopSaying(0), CloseSocket(1000)]


def test_a_lost_connection_stops_the_voice_and_sends_nothing() -> None:
    session = speaking()

    session.lost()
    session.lost()

    assert drain(session) == [StopSaying(0)]


def test_a_closed_session_is_deaf_and_dumb() -> None:
    session = SpeechSession()
    feed(session, CLOSE)

    session.receive_binary()
    session.close(1000)

    assert feed(session, CONFIG, text("Salam"), DONE, "salam") == []


def test_every_state_can_be_reached_and_all_but_closed_can_be_left_by_close() -> None:
    reached = {state for row in TRANSITIONS.values() for state in row.values()}

    assert reached == set(SessionState)
    assert all(
        TRANSITIONS[state][SessionEvent.CLOSE] is SessionState.CLOSED for state in reached - {SessionState.CLOSED}
    )


MESSAGES = st.sampled_from([CONFIG, BAD_CONFIG, text("Salam"), text(" "), DONE, CANCEL, "nonsense"])


@given(st.lists(MESSAGES, max_size=30))
def test_every_flush_and_every_cancel_of_something_is_answered_by_one_session_done(messages: list[str]) -> None:
    session = SpeechSession()
    answers, expected = 0, 0
    for message in messages:
        state = session.state
        actions = feed(session, message)
        if any(isinstance(action, Say) for action in actions):
            session.finished(session._utterance_index, ContextUsed())
            actions += drain(session)
        answers += types(actions).count("session.done")
        expected += message == DONE or (message == CANCEL and state is not SessionState.READY)

    assert answers == expected
    assert session.state in {SessionState.READY, SessionState.COLLECTING, SessionState.SPOILED}
