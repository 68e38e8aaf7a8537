from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from pydantic import ValidationError

from telephony.settings import RtpSettings, WebRtcSettings
from telephony.webrtc.turn import IceServer, ice_servers

TURN = {"turn_urls": ("turn:turn.example.com:3478",), "turn_secret": "s3cret", "turn_ttl_s": 600}


def test_credentials_end_when_they_should_and_are_what_coturn_expects() -> None:
    settings = WebRtcSettings.model_validate({**TURN, "stun_urls": ("stun:stun.example.com",)})

    stun, turn = ice_servers(settings, name="page", now_unix_s=1_000.7)

    assert stun == IceServer(("stun:stun.example.com",))
    assert turn.username == "1600:page"
    digest = hmac.new(b"s3cret", b"1600:page", hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(digest).decode()
    assert turn.as_json() == {
        "urls": ["turn:turn.example.com:3478"],
        "username": "1600:page",
        "credential": turn.credential,
    }
    assert stun.as_json() == {"urls": ["stun:stun.example.com"]}


def test_without_servers_there_are_none() -> None:
    assert ice_servers(WebRtcSettings(), name="page", now_unix_s=0.0) == ()


def test_no_secret_stands_in_what_is_printed() -> None:
    settings = WebRtcSettings.model_validate(TURN)

    assert "s3cret" not in repr(settings)
    assert "credential" not in repr(ice_servers(settings, name="page", now_unix_s=0.0))


@pytest.mark.parametrize(
    ("section", "wrong", "said"),
    [
        (WebRtcSettings, {"turn_urls": ("turn:x",)}, "without turn_secret"),
        (WebRtcSettings, {"relay_only": True}, "without turn_urls"),
        (RtpSettings, {"codecs": ()}, "at least one codec"),
        (RtpSettings, {"codecs": ("PCMA", "PCMA")}, "each once"),
        (RtpSettings, {"codecs": ("G729",)}, "codecs"),
        (RtpSettings, {"srtp": "maybe"}, "srtp"),
    ],
)
def test_settings_that_make_no_sense_are_refused(section: type, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        section.model_validate(wrong)
