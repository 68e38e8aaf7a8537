"""A whole `Call` over a fake leg: Pipecat's real pipeline, scripted flow, scripted speech."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import numpy as np
import pytest
from pipecat.frames.frames import TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService

from bot.answerer import AnswererPolicy
from bot.flows.actions import (
    Answerer,
    AskLlm,
    FlowTone,
    HangUp,
    LlmAnswered,
    Say,
    Transfer,
)
from bot.settings import TurnSettings
from telephony.errors import LegEndedError, TransferFailedError
from telephony.leg import EndCause, LegEnded, Tone, ToneHeard
from tests.integration.bot.call_stage import (
    LOUD,
    DisclosingFlow,
    ScriptedFlow,
    ScriptedServices,
    SetStage,
    ToneSpeech,
    flow_of,
    play_out,
    silence,
    voice,
)
from tests.waiting import HUNG_S
from tts_engine.errors import SpeechUnavailableError
from tts_engine.protocol import SpeechRequest


async def test_the_greeting_is_played_and_the_flow_hears_when_it_was_said(stage: SetStage) -> None:
    s = stage(Say("Salam"))
    running = s.begin()

    await s.until(lambda: "said" in s.flow.log)
    s.leg.end()
    ended = await running

    assert ended.cause is EndCause.CALLER_HUNG_UP
    assert 1.0 <= len(s.leg.sent) / 48_000 < 1.08  # one second, padded to whole chunks
    assert s.told("turn.bot")[0]["text"] == "Salam"
    assert s.told("turn.bot.heard")[0]["heard_s"] == pytest.approx(1.0, abs=0.08)


async def test_a_sentence_that_suffices_is_answered_and_the_flow_hangs_up_after_it_was_said(stage: SetStage) -> None:
    s = stage(Say("Salam"), Say("Sağ olun"), HangUp(), texts=("yetər",))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(voice(600) + silence(400))
    ended = await asyncio.wait_for(running, HUNG_S)

    assert ended.cause is EndCause.BOT_HUNG_UP
    assert s.flow.heard_texts == ["yetər"]
    assert [r.text for r in s.speech.requests] == ["Salam", "Sağ olun"]
    assert len(s.leg.sent) >= 2 * 48_000
    assert s.told("turn.latency")[0]["total_ms"] >= 200
    assert [t.text for t in s.store.turns] == ["Salam", "yetər", "Sağ olun"]
    assert s.speech.turns[0].text == "yetər"
    assert s.speech.turns[0].audio is not None
    assert s.speech.turns[0].audio.duration_s == pytest.approx(0.9, abs=0.3)
    assert s.speech.forgotten == ["c" * 32]


async def test_the_recogniser_hears_a_little_of_what_came_before_the_voice_and_no_more(stage: SetStage) -> None:
    s = stage(Say("Buyurun."), texts=("yetər",))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(silence(1600) + voice(640) + silence(400))
    await s.until(lambda: s.flow.heard_texts == ["yetər"])

    before_voice_after = 200 + 640 + 60  # recognition begins when the sound falls
    assert s.recogniser.asked[0] / 32 == pytest.approx(before_voice_after, abs=40)
    s.leg.end()
    await running


class LingeringModel:
    """Hears a voice for half a second after its sound."""

    def __init__(self) -> None:
        self._left = 0

    async def score(self, window, state):
        self._left = 16 if float(np.abs(window[0, 64:]).mean()) > 0.01 else max(0, self._left - 1)
        return (LOUD if self._left else 0.01), state


async def test_a_whole_answer_is_answered_though_the_speech_model_still_hears_a_voice(stage: SetStage) -> None:
    s = stage(Say("Buyurun."), Say("Saat doqquzdan."), Say("Nə?"), texts=("tam cavab", "tam cavab"))
    running = s.begin(replace(s.services, voice_model=LingeringModel()))
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(silence(640) + voice(640) + silence(100))
    await s.until(lambda: len(s.speech.requests) == 2)  # no pause of the model's came
    assert s.flow.heard_texts == ["tam cavab"]

    s.leg.speak(silence(640) + voice(640) + silence(400))  # and the next turn is one of its own
    await s.until(lambda: s.flow.heard_texts == ["tam cavab", "tam cavab"])
    assert s.recogniser.asked[1] / 32 == pytest.approx(200 + 640 + 60, abs=60)
    s.leg.end()
    await running


class KeenModel:
    """Voice where there is any sound."""

    async def score(self, window, state):
        return (LOUD if float(np.abs(window[0, 64:]).mean()) > 0.01 else 0.01), state


async def test_words_that_end_softly_are_heard_to_their_end(stage: SetStage) -> None:
    s = stage(Say("Buyurun."), texts=("yarım", "yetər"))
    running = s.begin(replace(s.services, voice_model=KeenModel()))
    await s.until(lambda: "said" in s.flow.log)

    softly = np.full(320 * 16, 600, np.int16).tobytes()  # 34 dB under the rest
    s.leg.speak(silence(1600) + np.full(640 * 16, 30_000, np.int16).tobytes() + softly)
    await s.until(lambda: bool(s.recogniser.asked))
    s.leg.speak(softly + silence(400))
    await s.until(lambda: bool(s.flow.heard_texts))
    s.leg.end()
    await running

    assert s.flow.heard_texts == ["yetər"]
    assert [asked // 32 for asked in s.recogniser.asked] == pytest.approx([900, 1600], abs=60)


class Judge:
    def __init__(self) -> None:
        self.heard: list[int] = []

    def finished(self, pcm: bytes) -> bool:
        self.heard.append(len(pcm))
        return True


async def test_a_pause_that_sounds_finished_is_answered_without_more_patience(stage: SetStage) -> None:
    s = stage(Say("Buyurun."), texts=("hava necədir",))
    judge = Judge()
    services = replace(
        s.services,
        pause_judge=judge,
        turns=TurnSettings(end_of_turn_ms=5000).model_copy(update={"end_of_turn_ms": 60_000}),
    )
    running = s.begin(services)
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(voice(800) + silence(300))
    await s.until(lambda: s.flow.heard_texts == ["hava necədir"])

    assert judge.heard[0] >= 800 * 32
    s.leg.end()
    await running


async def test_barge_in_stops_the_sound_and_tells_what_was_heard(stage: SetStage) -> None:
    s = stage(Say("Uzun bir cümlə"), Say("Bəli"), texts=("yetər",), paced=True)
    running = s.begin()
    await s.until(lambda: bool(s.told("bot.speaking")))
    await s.leg.advance(400)
    await asyncio.sleep(0.05)
    await s.leg.advance(100)

    s.leg.speak(voice(400))
    await s.until(lambda: "caller" in s.flow.log)
    await s.until(lambda: bool(s.told("turn.bot.heard")) and s.leg.flushes > 0)
    heard = s.told("turn.bot.heard")[0]
    sent_at_barge_in = len(s.leg.sent)
    await s.leg.advance(1000)

    assert len(s.leg.sent) == sent_at_barge_in
    assert heard["heard_s"] == pytest.approx(sent_at_barge_in / 48_000, abs=0.001)
    assert heard["duration_s"] > heard["heard_s"]
    s.leg.speak(silence(400))
    await s.until(lambda: len(s.told("turn.bot")) == 2)
    s.leg.end()
    await running
    assert s.speech.heard_calls[0] == ("t1", heard["heard_s"])
    assert s.store.turns[0].heard_s == heard["heard_s"]


async def test_a_key_is_given_to_the_flow_and_cuts_the_prompt(stage: SetStage) -> None:
    s = stage(Say("Bir düyməsini basın"), Say("Bir"), paced=True)
    running = s.begin()
    await s.until(lambda: bool(s.told("bot.speaking")))
    await s.leg.advance(100)

    s.leg.press("1")
    await s.until(lambda: len(s.told("turn.bot")) == 2)

    assert s.flow.log == ["key 1"]
    assert s.told("turn.bot.heard")[0]["heard_s"] < 0.5
    s.leg.end()
    await running


async def test_the_disclosure_cannot_be_talked_over(stage: SetStage) -> None:
    s = stage(Say("Zəng yazılır", interruptible=False), texts=("yetər",), paced=True)
    running = s.begin()
    await s.until(lambda: bool(s.told("bot.speaking")))

    s.leg.speak(voice(400) + silence(400))
    for _ in range(40):
        await s.leg.advance(100)
        await asyncio.sleep(0.005)
    await s.until(lambda: "said" in s.flow.log)

    assert "caller" not in s.flow.log
    assert s.recogniser.asked == []
    assert len(s.leg.sent) >= 48_000
    s.leg.end()
    await running


async def test_what_follows_the_disclosure_does_not_take_its_protection_away(stage: SetStage) -> None:
    s = stage(Say("Bəli"), texts=("yetər",), paced=True)
    flow = DisclosingFlow(s.flow.lines)
    running = s.begin(replace(s.services, new_flow=flow_of(flow)))
    await s.until(lambda: bool(s.told("bot.speaking")))

    s.leg.speak(voice(400) + silence(400))
    await play_out(s, until=lambda: len(s.told("turn.bot")) == 2)
    await s.until(lambda: len(s.told("turn.bot")) == 2)
    assert flow.heard_texts == []
    assert s.told("turn.bot.heard") == []

    s.leg.speak(voice(600) + silence(400))
    await play_out(s, until=lambda: flow.heard_texts == ["yetər"])
    assert [turn["text"] for turn in s.told("turn.bot")][:2] == ["Mən robotam", "Buyurun"]
    s.leg.end()
    await running


async def test_a_key_in_the_disclosure_skips_the_question_and_not_the_disclosure(stage: SetStage) -> None:
    s = stage(Say("Bir"), paced=True)
    flow = DisclosingFlow(s.flow.lines)
    running = s.begin(replace(s.services, new_flow=flow_of(flow)))
    await s.until(lambda: bool(s.told("bot.speaking")))

    s.leg.press("1")
    await s.until(lambda: flow.log == ["key 1"])
    await play_out(s, until=lambda: "said" in flow.log)

    assert [turn["text"] for turn in s.told("turn.bot")] == ["Mən robotam", "Bir"]
    assert [turn["heard_s"] for turn in s.told("turn.bot.heard")] == [pytest.approx(1.0, abs=0.09)] * 2
    s.leg.end()
    await running


async def test_a_cacheable_prompt_is_synthesised_once(stage: SetStage) -> None:
    s = stage(Say("Salam", cacheable=True), Say("Salam", cacheable=True))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)

    s.leg.press("1")
    await s.until(lambda: s.flow.log.count("said") == 2)
    s.leg.end()
    await running

    assert len(s.speech.requests) == 1
    assert len(s.leg.sent) >= 2 * 48_000
    assert [(turn.role, turn.text) for turn in s.speech.turns] == [("assistant", "Salam")]  # the one from the cache


async def test_no_task_outlives_the_call(stage: SetStage) -> None:
    before = asyncio.all_tasks()
    s = stage(Say("Salam"))
    running = s.begin()
    await s.until(lambda: bool(s.told("bot.speaking")))
    s.leg.end()
    await running
    await asyncio.sleep(0.05)

    assert asyncio.all_tasks() <= before | {asyncio.current_task()}


async def test_a_call_that_is_cut_leaves_nothing_that_would_hold_the_worker_up(stage: SetStage) -> None:
    before = asyncio.all_tasks()
    s = stage(Say("Salam"), paced=True)
    running = s.begin()
    await s.until(lambda: bool(s.told("bot.speaking")))

    running.cancel()
    await asyncio.wait((running,))

    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
    assert s.leg.hung_up


class SegmentService(SegmentedSTTService):
    """A Pipecat service of the segmented kind: one text for each stretch between two pauses."""

    def __init__(self, *texts: str) -> None:
        super().__init__(sample_rate=16_000, settings=STTSettings(model=None, language=None))
        self.texts = deque(texts)

    async def run_stt(self, audio: bytes):
        yield TranscriptionFrame(self.texts.popleft(), "", "2026-11-22T00:00:00Z")


async def test_a_pipecat_service_may_recognise_and_its_texts_add_up(stage: SetStage) -> None:
    s = stage(Say("Salam"), Say("Bəli"))
    services = replace(s.services, other_recogniser=lambda: SegmentService("iş", "saatları"))
    running = s.begin(services)
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(voice(600) + silence(256) + voice(600) + silence(900))
    await s.until(lambda: s.flow.heard_texts != [])

    assert s.flow.heard_texts == ["iş saatları"]
    s.leg.end()
    await running


async def test_personal_words_reach_the_flow_and_the_voice_that_says_them_and_no_record(stage: SetStage) -> None:
    s = stage(Say("FİN?"), Say("5ABC123, düzdür?", masked="•••, düzdür?"), texts=("gizli",))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)

    s.leg.speak(voice(600) + silence(700))
    await s.until(lambda: len(s.speech.requests) == 2 and s.flow.log.count("said") == 2)
    s.leg.end()
    await running

    assert s.flow.heard_texts == ["gizli"]
    assert s.speech.requests[1].text.startswith("beş a be ce")
    assert [r.conversation.mode for r in s.speech.requests if r.conversation] == ["auto", "none"]
    assert [t.text for t in s.store.turns] == ["FİN?", "•••", "•••, düzdür?"]
    assert [m["text"] for m in (*s.told("turn.caller"), *s.told("turn.bot"))] == ["•••", "FİN?", "•••, düzdür?"]
    assert s.speech.turns == []  # the sound of it is kept by nobody


class ClauseServices(ScriptedServices):
    """Says one clause of the answer and never the rest."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled = 0

    async def ask_llm(self, request: AskLlm, said: Callable[[str], None]) -> LlmAnswered:
        self.asked.append(request.text)
        said(f"{request.text}:")
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_clauses_go_to_the_flow_at_once_and_an_older_question_is_cancelled(stage: SetStage) -> None:
    s = stage(AskLlm(1, "bir", "Help."), AskLlm(2, "iki", "Help."), paced=True)
    services = ClauseServices()
    said: list[tuple[int, str]] = []
    s.flow.llm_said = lambda request_id, clause: said.append((request_id, clause))  # type: ignore[method-assign]
    running = s.begin(replace(s.services, new_flow=flow_of(s.flow, services)))
    await s.until(lambda: said == [(1, "bir:")])

    s.leg.press("1")
    await s.until(lambda: said == [(1, "bir:"), (2, "iki:")])

    assert (services.asked, services.cancelled) == (["bir", "iki"], 1)
    s.leg.end()
    await running
    assert services.cancelled == 2


async def test_a_caller_is_handed_over_once_it_has_heard_so(stage: SetStage) -> None:
    s = stage(Say("Sizi operatora qoşuram"), Transfer("sip:200@pbx.example"))
    ended = await asyncio.wait_for(s.begin(), HUNG_S)

    ((target, played_ms),) = s.leg.transferred
    assert (target, ended.cause) == ("sip:200@pbx.example", EndCause.TRANSFERRED)
    assert played_ms >= 1000


async def test_a_transfer_that_fails_goes_back_to_the_flow_and_the_caller_is_told(stage: SetStage) -> None:
    s = stage(Transfer("sip:200@pbx.example"), Say("Operator məşğuldur"), HangUp())
    s.leg.transfer_fails = TransferFailedError("486 Busy Here", status=486)
    ended = await asyncio.wait_for(s.begin(), HUNG_S)

    assert "transfer failed" in s.flow.log
    assert [r.text for r in s.speech.requests] == ["Operator məşğuldur"]
    assert ended.cause is EndCause.BOT_HUNG_UP


async def test_a_caller_that_goes_while_it_is_handed_over_is_told_nothing(stage: SetStage) -> None:
    s = stage(Transfer("sip:200@pbx.example"), Say("Operator məşğuldur"))
    s.leg.transfer_fails = LegEndedError("gone")
    running = s.begin()
    await s.until(lambda: s.leg.transferred)
    s.leg.end()

    assert (await running).cause is EndCause.CALLER_HUNG_UP
    assert s.speech.requests == []


async def test_why_a_call_was_never_answered_is_known(stage: SetStage) -> None:
    s = stage()
    s.leg.answers = False
    s.leg.feed(LegEnded(EndCause.FAILED, "486 Busy Here", 17))

    ended = await s.begin()
    assert (ended.cause, ended.q850) == (EndCause.FAILED, 17)


async def test_a_caller_is_a_human_from_the_start(stage: SetStage) -> None:
    s = stage(Say("Salam"))
    running = s.begin()
    await s.until(lambda: "said" in s.flow.log)
    s.leg.end()
    await running

    assert s.flow.signs == [Answerer.HUMAN]
    assert s.told("call.answered_by") == []


async def test_who_answered_a_call_of_ours_is_told_to_the_flow_and_to_whoever_placed_it(stage: SetStage) -> None:
    s = stage(Say("Salam"))
    s.leg.info = replace(s.leg.info, placed=True)
    told: list[tuple[str, str]] = []
    services = replace(s.services, on_answerer=lambda call_id, who: told.append((call_id, who)))
    running = s.begin(services)
    await s.until(lambda: "said" in s.flow.log)
    assert s.flow.signs == []

    s.leg.feed(ToneHeard(Tone.FAX_ANSWER, 0))
    await s.until(lambda: Answerer.FAX in s.flow.signs)
    s.leg.end()
    await running

    assert s.flow.signs == ["fax", Answerer.FAX]
    assert told == [("c" * 32, "fax")]
    assert [event["by"] for event in s.told("call.answered_by")] == ["fax"]


async def test_silence_after_the_answer_is_judged_by_the_clock(stage: SetStage) -> None:
    s = stage(Say("Salam"))
    s.leg.info = replace(s.leg.info, placed=True)
    services = replace(s.services, answerer=AnswererPolicy(initial_silence_ms=50))
    running = s.begin(services)

    await s.until(lambda: bool(s.flow.signs))
    assert s.flow.signs == [Answerer.HUMAN]
    s.leg.end()
    await running


class LeavingFlow(ScriptedFlow):
    """Goes elsewhere at a tone."""

    def noticed(self, sign: Answerer | FlowTone, *, now: float) -> bool:
        if isinstance(sign, str):
            self._next()
        return isinstance(sign, str)


async def test_a_tone_that_leads_the_flow_elsewhere_cuts_what_is_being_said(stage: SetStage) -> None:
    s = stage(Say("Uzun bir cümlə"), Say("Sağ olun"), paced=True)
    flow = LeavingFlow(s.flow.lines)
    running = s.begin(replace(s.services, new_flow=flow_of(flow)))
    await s.until(lambda: bool(s.told("bot.speaking")))
    await s.leg.advance(100)

    s.leg.feed(ToneHeard(Tone.BUSY, 0))
    await s.until(lambda: len(s.told("turn.bot")) == 2)

    assert s.told("turn.bot.heard")[0]["heard_s"] < 0.5
    s.leg.end()
    await running


class AbsentSpeech(ToneSpeech):
    """A speech server that gives no sound."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        self.requests.append(request)
        raise SpeechUnavailableError("no audio")
        yield b""


async def test_a_voice_that_is_away_does_not_hold_up_the_call(stage: SetStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TTSService.__init__.__kwdefaults__, "stop_frame_timeout_s", 600.0)  # what Pipecat would wait
    s = stage(Say("Salam"), Say("Bir"), HangUp())
    running = s.begin(replace(s.services, speech=AbsentSpeech()))

    await s.until(lambda: "said" in s.flow.log)
    s.leg.press("1")
    ended = await asyncio.wait_for(running, HUNG_S)

    assert (ended.cause, s.flow.log[:2]) == (EndCause.BOT_HUNG_UP, ["said", "key 1"])
    assert not any(s.leg.sent)


class RestartingSpeech(ToneSpeech):
    """A speech server that is away for four sentences."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        if len(self.requests) < 4:
            self.requests.append(request)
            raise SpeechUnavailableError("the engine restarts")
        async for pcm in super().speak(request):
            yield pcm


async def test_a_voice_that_comes_back_is_heard_again_in_the_same_call(stage: SetStage) -> None:
    s = stage(*(Say(f"Cümlə {number}") for number in range(5)))
    speech = RestartingSpeech()
    running = s.begin(replace(s.services, speech=speech))
    for sentence in range(1, 5):
        await s.until(lambda said=sentence: s.flow.log.count("said") == said)
        s.leg.press("1")

    await s.until(lambda: any(s.leg.sent))
    s.leg.end()
    await running
    assert len(speech.requests) == 5


async def test_a_bot_that_hangs_up_lets_a_phones_buffer_run_dry_and_no_more(stage: SetStage) -> None:
    s = stage(Say("Sağ olun"), HangUp())
    await asyncio.wait_for(s.begin(), HUNG_S)

    sound = len(s.leg.sent.rstrip(b"\0")) / 48_000
    assert len(s.leg.sent) / 48_000 - sound == pytest.approx(0.3, abs=0.09)  # the last chunk of 80 ms is padded


class SlowSpeech(ToneSpeech):
    """A speech server that never gets to its first sound."""

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
        self.requests.append(request)
        try:
            await asyncio.Event().wait()
        finally:
            self.closed_early += 1
        yield b""


async def test_a_caller_need_not_wait_for_a_voice_that_is_slow(stage: SetStage) -> None:
    s = stage(Say("Salam"), Say("Bir"))
    speech = SlowSpeech()
    running = s.begin(replace(s.services, speech=speech))
    await s.until(lambda: len(speech.requests) == 1)

    s.leg.press("1")
    await s.until(lambda: len(speech.requests) == 2)
    s.leg.end()
    await running

    assert s.flow.log == ["key 1"]
    assert speech.closed_early == 2  # nobody is left working for nobody
