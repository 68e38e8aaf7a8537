"""Images and compose file, checked without a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bot.settings import load_settings

DOCKER = Path(__file__).parents[2] / "docker"
MAKEFILE = (DOCKER.parent / "Makefile").read_text()
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
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
    for service in COMPOSE["services"].values():
        if "image" not in service:
            assert (DOCKER.parent / service["build"]["dockerfile"]).is_file()


def test_the_settings_of_the_compose_service_are_valid() -> None:
    sip = load_settings(DOCKER / "zeng.toml").sip

    assert sip.host == "0.0.0.0"
    assert "0.0.0.0/0" not in sip.allowed_sources


def test_the_edge_installs_what_the_tests_run_it_with() -> None:
    packages = (DOCKER.parent / "tests" / "system_packages.sh").read_text()
    installed = re.findall(r"kamailio[a-z-]*|rtpengine-daemon", (DOCKER / "edge.Dockerfile").read_text())

    for package in set(installed) & {"rtpengine-daemon", "kamailio-tls-modules", "kamailio-websocket-modules"}:
        assert package in packages
