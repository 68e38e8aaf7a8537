"""Images and compose file, checked without a Docker engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from bot.settings import load_settings
from tts_engine.settings import load_tts_settings

DOCKER = Path(__file__).parents[2] / "docker"
MAKEFILE = (DOCKER.parent / "Makefile").read_text()
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
EDGE = yaml.safe_load((DOCKER / "compose.edge.yaml").read_text())
VOICES = yaml.safe_load((DOCKER / "compose.voices.yaml").read_text())
EDGE_DEFAULT_IP = "127.0.0.1"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
OURS = [path for path in DOCKERFILES if path.name != "edge.Dockerfile"]  # that one is Debian's packages only


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"

    found = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)

    assert found.stdout + found.stderr == ""


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_an_image_is_built_by_targets_that_the_makefile_has(path: Path) -> None:
    targets = re.findall(r"^RUN make (\S+)", path.read_text(), re.MULTILINE)

    assert targets
    for target in targets:
        assert target.replace(".venv", "$(VENV)") + ":" in MAKEFILE


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_a_profile_has_one_of_each_process(profile: str) -> None:
    services = [name for name, service in COMPOSE["services"].items() if profile in service["profiles"]]

    assert sorted(name.split("-")[0] for name in services) == ["bot", "redis", "tts"]


def test_every_service_names_an_image_or_a_dockerfile_that_exists() -> None:
    for service in (*COMPOSE["services"].values(), EDGE["services"]["kamailio"], EDGE["services"]["rtpengine"]):
        if "image" not in service:
            assert (DOCKER.parent / service["build"]["dockerfile"]).is_file()


def test_no_service_can_gain_rights_and_only_the_one_that_compiles_kernels_can_write_to_its_image() -> None:
    services = {
        **COMPOSE["services"],
        "kamailio": EDGE["services"]["kamailio"],
        "rtpengine": EDGE["services"]["rtpengine"],
        "tts-gpu-2": VOICES["services"]["tts-gpu-2"],
        "tts-engine": VOICES["services"]["tts-engine"],
    }

    for service in services.values():
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert [name for name, service in services.items() if not service.get("read_only")] == ["tts-gpu", "tts-engine"]


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_an_image_runs_as_a_user_who_cannot_change_its_code(path: Path) -> None:
    assert "USER 10001" in path.read_text()
    assert "chown" not in path.read_text()


def test_a_bot_whose_places_are_all_taken_is_not_unwell() -> None:
    (check,) = re.findall(r"^HEALTHCHECK .*", (DOCKER / "bot.Dockerfile").read_text(), re.MULTILINE)

    assert "/livez" in check  # /readyz says 503 then


def test_models_are_fetched_to_where_the_service_looks_for_them() -> None:
    lines = (DOCKER / "bot.Dockerfile").read_text().splitlines()
    named = next(n for n, line in enumerate(lines) if line.startswith("ENV ZENG_MODELS__CACHE_DIR=/srv/"))

    assert "zeng models fetch" in "".join(lines[named:])


def test_what_an_image_copies_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (DOCKER.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    for path in DOCKERFILES:
        for sources in re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", path.read_text(), re.MULTILINE):
            assert set(sources.replace("${LOCK}", "requirements.lock docker/vllm.lock").split()) <= sent


def test_what_the_gpu_image_is_held_to_is_what_the_vllm_extra_asks_for() -> None:
    args = COMPOSE["services"]["tts-gpu"]["build"]["args"]
    lines = (DOCKER.parent / args["LOCK"]).read_text().splitlines()
    held = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((DOCKER.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    asked = [Requirement(text) for text in (*project["dependencies"], *extras["tts"], *extras[args["EXTRAS"]])]
    for requirement in asked:
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(held[canonicalize_name(requirement.name)]), requirement
    # vLLM's own wish, which requirements.lock does not meet: with it there is no such image.
    assert SpecifierSet(">=0.133,<0.137").contains(held["fastapi"])


def test_the_settings_of_the_compose_service_are_valid() -> None:
    settings = load_settings(DOCKER / "zeng.toml")

    assert settings.sip.host == "0.0.0.0"
    assert "0.0.0.0/0" not in settings.sip.allowed_sources
    assert settings.web.host == "127.0.0.1"


@pytest.mark.parametrize("name", ["tts-cpu", "tts-gpu"])
def test_the_speech_server_reads_the_same_settings(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["command"][3:5] == ["--config", "/etc/zeng/zeng.toml"]
    assert "./zeng.toml:/etc/zeng/zeng.toml:ro" in service["volumes"]
    assert load_tts_settings(DOCKER / "zeng.toml").backend == "espeak"  # the other sections are no fault


def test_calls_end_before_compose_loses_patience() -> None:
    bot = COMPOSE["services"]["bot-cpu"]
    assert bot["stop_grace_period"] == "10m"

    assert load_settings(DOCKER / "zeng.toml").workers.drain_s == 10 * 60 - 20


@pytest.mark.parametrize(
    ("name", "outlive"),
    [("bot-cpu", {"redis", "tts-cpu"}), ("bot-gpu", {"redis", "tts-gpu"})],
)
def test_what_calls_need_is_stopped_after_the_bot_that_lets_them_end(name: str, outlive: set[str]) -> None:
    """Compose stops a service before what it depends on."""
    assert set(COMPOSE["services"][name]["depends_on"]) == outlive
    assert set(EDGE["services"][name]["depends_on"]) == {"kamailio", "rtpengine"}
    assert set(VOICES["services"]["bot-gpu"]["depends_on"]) == {"tts-gpu-2"}


def test_edge_and_bot_find_each_other_on_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    bots = [EDGE["services"][name]["environment"] for name in ("bot-cpu", "bot-gpu")]
    assert bots[0] == bots[1]
    for name, value in bots[0].items():
        monkeypatch.setenv(name, value.replace("${ZENG_EDGE_IP:-127.0.0.1}", "203.0.113.7"))
    settings = load_settings(DOCKER / "zeng.toml")
    site = (DOCKER / "kamailio" / "local.cfg").read_text()
    defined = dict(re.findall(r"^#!define (\w+) (\S+)$", site, re.MULTILINE))
    rtpengine = dict(word[2:].split("=") for word in EDGE["services"]["rtpengine"]["command"] if "=" in word)

    listed = re.findall(r"^1 sip:(\S+):(\d+) ", (DOCKER / "kamailio" / "dispatcher.list").read_text(), re.MULTILINE)
    assert listed == [(settings.sip.host, str(settings.sip.port))]
    assert str(settings.sip.port) not in defined.values()
    assert "203.0.113.7" in settings.sip.allowed_sources
    assert defined["RTPENGINE"] == f'"udp:{rtpengine["listen-ng"]}"'
    assert int(rtpengine["port-min"]) > settings.rtp.port_max or int(rtpengine["port-max"]) < settings.rtp.port_min


def test_the_edges_address_is_said_once() -> None:
    site = (DOCKER / "kamailio" / "local.cfg").read_text()
    used = re.findall(r"\$\{ZENG_EDGE_IP[^}]*\}", (DOCKER / "compose.edge.yaml").read_text())

    assert "#!trydefenv EDGE_IP=ZENG_EDGE_IP\n" in site
    assert f"#!define EDGE_IP {EDGE_DEFAULT_IP}\n" in site
    assert set(used) == {f"${{ZENG_EDGE_IP:-{EDGE_DEFAULT_IP}}}"}
    assert len(used) == 3  # Kamailio's and rtpengine's own, and the bot's list of sources


def test_the_commands_that_the_page_of_edges_gives_name_files_that_exist() -> None:
    page = (DOCKER.parent / "docs" / "edge.md").read_text()
    compose_files = re.findall(r"-f (\S+)", page)

    assert compose_files == ["docker/compose.yaml", "docker/compose.edge.yaml"]
    for name in compose_files:
        assert (DOCKER.parent / name).is_file()


def test_the_edge_installs_what_the_tests_run_it_with() -> None:
    packages = (DOCKER.parent / "tests" / "system_packages.sh").read_text()
    installed = re.findall(r"kamailio[a-z-]*|rtpengine-daemon", (DOCKER / "edge.Dockerfile").read_text())

    for package in set(installed) & {"rtpengine-daemon", "kamailio-tls-modules", "kamailio-websocket-modules"}:
        assert package in packages


def test_the_voices_and_their_engine_are_the_one_voice_but_for_what_each_does() -> None:
    first = {**COMPOSE["services"]["tts-gpu"], **VOICES["services"]["tts-gpu"]}
    second, engine = VOICES["services"]["tts-gpu-2"], VOICES["services"]["tts-engine"]
    own = {"command", "depends_on", "deploy", "healthcheck", "read_only", "tmpfs"}

    for service in (second, engine):
        assert {key: value for key, value in service.items() if key not in own} == {
            key: value for key, value in first.items() if key not in own
        }
    assert engine["deploy"] == first["deploy"]
    assert engine["command"] == ["zeng", "tts", "engine", *first["command"][3:5], *first["command"][-2:]]
    assert [word.replace("8081", "8080") for word in second["command"]] == first["command"]
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (.*)", (DOCKER / "tts_engine.Dockerfile").read_text(), re.MULTILINE)
    assert second["healthcheck"]["test"] == ["CMD", *json.loads(check.replace("8080", "8081"))]
    assert second["depends_on"] == first["depends_on"]


def test_the_bot_knows_both_voices_which_share_an_engine_and_a_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("tts-engine", "tts-gpu", "tts-gpu-2")
    engine, first, second = (VOICES["services"][name] for name in names)
    bot = {**COMPOSE["services"]["bot-gpu"]["environment"], **VOICES["services"]["bot-gpu"]["environment"]}
    for name, value in {**bot, **second["environment"]}.items():
        monkeypatch.setenv(name, value)
    speech, tts = load_settings(DOCKER / "zeng.toml").speech, load_tts_settings(DOCKER / "zeng.toml")

    assert engine["environment"] == first["environment"] == second["environment"]
    commands = [COMPOSE["services"]["tts-gpu"]["command"], second["command"]]
    ports = [command[command.index("--port") + 1] for command in commands]
    assert [speech.url, *speech.more_urls] == [f"http://127.0.0.1:{port}" for port in ports]
    assert engine["healthcheck"]["test"][-1] == str(tts.csm.engine_socket)
    folder = f"engine:{tts.csm.engine_socket.parent}"  # type: ignore[union-attr] - it is set
    assert folder in engine["volumes"]
    assert f"install -d -o 10001 -g 10001 {folder.partition(':')[2]}" in (DOCKER / "tts_engine.Dockerfile").read_text()
    assert tts.redis_url == load_settings(DOCKER / "zeng.toml").redis.url


def test_the_memory_that_voices_share_differs_from_the_usual_by_its_size() -> None:
    usual, shared = (each["services"]["redis"]["command"] for each in (COMPOSE, VOICES))

    assert [word.replace("1gb", "256mb") for word in shared] == usual


def test_the_command_that_the_page_of_the_voice_gives_names_files_that_exist() -> None:
    page = (DOCKER.parent / "docs" / "voice.md").read_text()
    compose_files = re.findall(r"-f (\S+)", page)

    assert compose_files == ["docker/compose.yaml", "docker/compose.voices.yaml"]
    for name in compose_files:
        assert (DOCKER.parent / name).is_file()
