from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.flows.actions import Candidate
from bot.recognition.embedding import EmbeddingUnderstander
from bot.recognition.settings import UnderstandingSettings
from tests.fakes.recognition import WordEmbedder

BOOK = Candidate("book", "books", ("qəbula yazılmaq istəyirəm", "növbə götürmək istəyirəm"))
HOURS = Candidate("hours", "opening hours", ("iş saatlarınız necədir", "neçədə açılırsınız"))


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def understander(embedder: WordEmbedder) -> Iterator[EmbeddingUnderstander]:
    made = EmbeddingUnderstander(embedder, UnderstandingSettings(cached_states=2))
    yield made
    made.close()


async def test_the_likest_candidate_is_understood(understander: EmbeddingUnderstander):
    answer = await understander.understand("Növbə götürmək istəyirdim", (BOOK, HOURS))
    assert answer.intent == "book"
    assert answer.score > 0.12


async def test_a_misread_utterance_is_understood_by_sound(understander: EmbeddingUnderstander):
    answer = await understander.understand("gabula yazulmah iş tayram yazılmaq", (BOOK, HOURS))
    assert answer.intent == "book"


async def test_what_is_said_in_the_background_is_nothing(understander: EmbeddingUnderstander):
    assert (await understander.understand("pizza sifariş etmək istəyirəm", (BOOK, HOURS))).intent is None


async def test_what_two_candidates_share_is_nothing(understander: EmbeddingUnderstander):
    twin = Candidate("twin", "the same", BOOK.phrases)
    assert (await understander.understand("qəbula yazılmaq istəyirəm", (BOOK, twin))).intent is None


async def test_one_candidate_is_measured_against_the_background(understander: EmbeddingUnderstander):
    assert (await understander.understand("neçədə açılırsınız", (HOURS,))).intent == "hours"
    assert (await understander.understand("yuxum gəlir", (HOURS,))).intent is None


@pytest.mark.parametrize("text", ["", " ... ", "!"])
async def test_no_words_mean_nothing(understander: EmbeddingUnderstander, embedder: WordEmbedder, text: str):
    assert (await understander.understand(text, (BOOK, HOURS))).intent is None
    assert embedder.embedded == []


async def test_candidates_without_phrases_are_not_chosen(understander: EmbeddingUnderstander):
    silent = Candidate("silent", "nothing said of it", ())
    assert (await understander.understand("salam", (silent,))).intent is None
    assert (await understander.understand("neçədə açılırsınız", (silent, HOURS))).intent == "hours"


async def test_once_prepared_a_caller_waits_for_its_own_words_only(
    understander: EmbeddingUnderstander, embedder: WordEmbedder
):
    await understander.prepare((BOOK, HOURS))
    embedder.embedded.clear()
    await understander.understand("neçədə açılırsınız", (BOOK, HOURS))
    assert embedder.embedded == ["neçədə açılırsınız"]


async def test_the_oldest_state_leaves_the_cache(understander: EmbeddingUnderstander, embedder: WordEmbedder):
    for state in ((BOOK,), (HOURS,), (BOOK, HOURS)):
        await understander.prepare(state)
    embedder.embedded.clear()
    await understander.prepare((BOOK, HOURS))
    assert embedder.embedded == []
    await understander.prepare((BOOK,))
    assert embedder.embedded == list(BOOK.phrases)
