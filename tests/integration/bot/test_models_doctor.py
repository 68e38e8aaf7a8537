from __future__ import annotations

import socket
from pathlib import Path

from bot.models.doctor import Level, Port, check_port, examine
from bot.models.settings import ModelSettings


def test_a_taken_port_fails_and_names_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = check_port(Port("[web] port", "127.0.0.1", taken.getsockname()[1]))
    remedy = "nothing, if it is this service that runs; else end it, or set [web] port"
    assert (found.level, found.remedy) == (Level.FAIL, remedy)


def test_a_taken_udp_port_fails():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert check_port(Port("[sip] port", "127.0.0.1", port, udp=True)).level is Level.FAIL
    assert check_port(Port("[sip] port", "127.0.0.1", port, udp=True)).level is Level.OK


def test_every_finding_that_is_not_ok_has_a_remedy(tmp_path: Path):
    findings = examine(ModelSettings(cache_dir=tmp_path), [Port("[web] port", "127.0.0.1", 0)])
    assert {"python", "model cache", "disk", "model whisper-base", "redis", "espeak-ng", "gpu"} <= {
        finding.check for finding in findings
    }
    for finding in findings:
        assert bool(finding.remedy) is (finding.level is not Level.OK), finding
    assert len({finding.check for finding in findings}) == len(findings)
