"""Settings of telephony that no call could be made with are refused with what to write."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ValidationError

from telephony.settings import RtpSettings, SipSettings, SipTrunkSettings, StreamSettings, WebRtcSettings

TRUNK = {"name": "pbx", "servers": ["sip:pbx.example"]}


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (SipSettings, {"outbound_allowed": ["+994"]}, "'+994' is not of the form user@host: write it as"),
        (SipSettings, {"outbound_allowed": ["!+994900*@"]}, "is not of the form user@host"),
        (SipSettings, {"allowed_sources": ["pbx.example"]}, "'pbx.example' is no address: write addresses or networks"),
        (SipSettings, {"trusted_peers": ["10.0.0.1/8"]}, "'10.0.0.1/8' is no network (10.0.0.1/8 has host bits set)"),
        (StreamSettings, {"allowed_sources": ["pbx.example"]}, "write addresses or networks, not names"),
        (SipSettings, {"trunks": [TRUNK, TRUNK]}, "'pbx' is the name of two trunks"),
        (
            SipTrunkSettings,
            TRUNK | {"servers": ["x.example.az"]},
            "is no SIP URI: write sip:x.example.az",
        ),
        (SipTrunkSettings, TRUNK | {"servers": ["https://x.az"]}, "is no SIP URI: write sip:x.az"),
        (RtpSettings, {"port_min": 30_000, "port_max": 20_000}, "holds no pair of ports"),
        (RtpSettings, {"port_min": 30_001, "port_max": 30_002}, "holds no pair of ports"),
        (RtpSettings, {"playout_min_ms": 200, "playout_max_ms": 100}, "playout_min_ms is above playout_max_ms"),
        (WebRtcSettings, {"stun_urls": ["stun.l.google.com"]}, "is no STUN address: write stun:stun.l.google.com"),
        (WebRtcSettings, {"stun_urls": ["stun://stun.az"]}, "write stun:stun.az"),
        (WebRtcSettings, {"turn_urls": ["https://turn.az"]}, "is no TURN address: write turn:turn.az"),
        (
            StreamSettings,
            {"audiosocket_port": 9000, "websocket_port": 9000, "websocket_token": "x" * 16},
            "audiosocket_port and websocket_port are both 9000",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(model: type[BaseModel], given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        model.model_validate(given)


def test_what_is_right_is_taken() -> None:
    assert SipSettings(outbound_allowed=("+994*@sip.az", "!+994900*@*", "@pbx.az"), trusted_peers=("10.0.0.0/8", "::1"))
    assert SipTrunkSettings(name="a", servers=("sips:u@[::1]:5061;transport=tls", "SIP:pbx.az")).servers
    assert WebRtcSettings(stun_urls=("stun:a.az:3478", "stuns:a.az")).stun_urls
    assert StreamSettings(audiosocket_port=0, websocket_port=0).websocket_port == 0


def test_workers_share_the_ports_and_each_pair_is_one_workers() -> None:
    rtp = RtpSettings(port_min=30_000, port_max=30_010)
    first, second = (rtp.share(index, 2) for index in range(2))

    assert (rtp.pairs(), first.pairs(), second.pairs()) == (5, 2, 2)
    assert (first.port_min, first.port_max, second.port_min, second.port_max) == (30_000, 30_003, 30_004, 30_007)
    assert rtp.share(0, 12).pairs() == 0
