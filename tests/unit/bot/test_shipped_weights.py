from __future__ import annotations

from bot.shipped_weights import session_of


def test_a_network_that_a_package_ships_runs_on_the_thread_that_asks() -> None:
    session = session_of("pipecat.audio.vad.data", "silero_vad.onnx")

    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert [each.name for each in session.get_inputs()] == ["input", "state", "sr"]
