"""How the user agent names itself."""

from __future__ import annotations

from telephony.sip.flow import Flow
from telephony.sip.identity import Identity
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, PEER_TLS

US = Identity("192.0.2.9", 5070, "bot")


def test_a_contact_leads_back_over_the_same_transport() -> None:
    assert US.contact(PEER) == ("Contact", "<sip:bot@192.0.2.9:5070>")
    assert US.contact(PEER_TCP) == ("Contact", "<sip:bot@192.0.2.9:5070;transport=tcp>")


def test_a_via_asks_for_answers_at_the_port_it_leaves_from() -> None:
    assert str(US.via(PEER, branch="z9hG4bKx")) == "SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bKx"
    assert US.via(PEER_TCP, branch="b").transport == "TCP"


def test_an_ipv6_address_is_written_in_brackets() -> None:
    ours = Identity("::1", 5060)

    assert str(ours.uri()) == "sip:bot@[::1]:5060"
    assert ours.via(Flow("udp", "::2", 5060), branch="b").host == "[::1]"


def test_over_tls_everything_names_the_port_where_tls_is_heard() -> None:
    ours = Identity("192.0.2.9", 5070, "bot", tls_port=5071)

    assert str(ours.uri(PEER_TLS)) == "sip:bot@192.0.2.9:5071;transport=tls"
    assert str(ours.via(PEER_TLS, branch="b")) == "SIP/2.0/TLS 192.0.2.9:5071;rport;alias;branch=b"
    assert US.via(PEER_TLS, branch="b").port == 5061


def test_who_asked_for_us_by_sips_is_given_a_sips_contact() -> None:
    ours = Identity("192.0.2.9", 5070, "bot", tls_port=5071)

    assert ours.contact(PEER_TLS, secure=True) == ("Contact", "<sips:bot@192.0.2.9:5071>")
