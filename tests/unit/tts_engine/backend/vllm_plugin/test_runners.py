from __future__ import annotations

from types import SimpleNamespace

import pytest

from tts_engine.backend.vllm_plugin.runners import admit_any_id, capture_sizes, positions_a_step


class Renderer:
    """As of 0.33."""

    def validate_token_ids(self, token_ids: list[int], *, parameter: str | None = None) -> None:
        raise ValueError(f"Token id {max(token_ids)} is out of vocabulary")


def test_ids_of_frames_pass_a_front_end_that_knows_the_vocabulary():
    engine = SimpleNamespace(input_processor=SimpleNamespace(renderer=Renderer()))
    with pytest.raises(ValueError, match="vocabulary"):
        engine.input_processor.renderer.validate_token_ids([1 << 20])

    admit_any_id(engine)

    engine.input_processor.renderer.validate_token_ids([1 << 20], parameter="prompt")


def test_a_front_end_that_does_not_look_is_left_as_it_is():
    bare, rendering = SimpleNamespace(), SimpleNamespace(renderer=SimpleNamespace())

    admit_any_id(SimpleNamespace(input_processor=bare))
    admit_any_id(SimpleNamespace(input_processor=rendering))

    assert vars(bare) == {}
    assert vars(rendering.renderer) == {}


def test_every_stream_speaking_at_once_has_a_graph_of_its_own_and_beginnings_beside_it_too():
    sizes = capture_sizes(2048)
    assert {1, 512, 1024, 2048} <= set(sizes)
    assert max(sizes) == 4096
    assert sizes == sorted(set(sizes))


def test_a_number_of_streams_between_two_sizes_is_one_of_them():
    assert 300 in capture_sizes(300)
    assert max(capture_sizes(300)) <= 600


@pytest.mark.parametrize("streams", [1, 256, 1000, 2048, 4096])
def test_a_step_in_which_every_stream_speaks_has_room_for_beginnings(streams: int):
    assert positions_a_step(streams) - streams >= max(1024, 2 * streams)
