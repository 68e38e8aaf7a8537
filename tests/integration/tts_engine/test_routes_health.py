"""Probes and what the server tells of itself."""

from __future__ import annotations

import httpx

from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server


async def test_models_and_voices_are_the_backend_s() -> None:
    async with (
        speech_server(FakeBackend()) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        models = (await http.get("/v1/models")).json()
        assert [model["id"] for model in models["data"]] == ["fake-tones"]
        voices = (await http.get("/v1/audio/voices")).json()
        assert voices == {"voices": ["az", "az-low"], "languages": ["az", "tr"], "hears_conversation": True}


async def test_readiness_follows_the_backend_and_the_drain_and_liveness_does_not() -> None:
    backend = FakeBackend()
    async with speech_server(backend) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        assert (await http.get("/readyz")).status_code == 200
        backend.down = "loading weights"
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["detail"]) == (503, "loading weights")
        backend.down = ""
        server.engine.begin_drain()
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["detail"]) == (503, "draining")
        assert (await http.get("/livez")).status_code == 200


async def test_a_path_or_method_that_is_not_served_is_refused_as_everything_is() -> None:
    async with (
        speech_server(FakeBackend()) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        for method, path, status in (("GET", "/v1/audio/speech", 405), ("POST", "/v1/audio/speach", 404)):
            refused = await http.request(method, path)
            assert refused.status_code == status
            assert refused.json()["error"]["code"] == "invalid_request"
            assert path in refused.json()["error"]["message"]


async def test_metrics_count_what_was_spoken() -> None:
    async with (
        speech_server(FakeBackend()) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        await http.post("/v1/audio/speech", json={"input": "Salam", "response_format": "pcm"})
        lines = (await http.get("/metrics")).text.splitlines()

    assert 'zeng_tts_utterances_total{outcome="spoken"} 1.0' in lines
    assert "zeng_tts_first_audio_seconds_count 1.0" in lines
    assert "zeng_tts_streams_active 0.0" in lines
