"""By which trunk a call goes out."""

from __future__ import annotations

from typing import Any

from bot.edge.dialling import Dialling
from bot.edge.links import OfferAnswer
from bot.web.calls import Dial
from telephony.sip.flow import Flow
from telephony.sip.trunk_events import TrunkRoute

ROUTE = TrunkRoute(Flow("udp", "192.0.2.1", 5060), "2001:db8::1", "aysel")


class Sip:
    def __init__(self, **up: bool) -> None:
        self.trunks_up = up

    def route(self, trunk: str) -> TrunkRoute | None:
        return ROUTE if trunk == "pbx" else None


class Links:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def dial(self, request: dict[str, Any]) -> OfferAnswer:
        self.asked.append(request)
        return OfferAnswer(201, {"call_id": "worker-0.abc"})

    async def placed(self, name: str, method: str, call_id: str) -> OfferAnswer:
        self.asked.append((name, method, call_id))
        return OfferAnswer(204, {})


async def dialled(**dial: str) -> tuple[int, Any]:
    links = Links()
    answer = await Dialling(Sip(down=False, pbx=True), links).dial(Dial(**dial))  # type: ignore[arg-type] - fakes
    return answer.status, links.asked[0] if links.asked else None


async def test_a_number_goes_out_by_the_first_trunk_that_is_up() -> None:
    status, asked = await dialled(target="+994501234567")

    assert (status, asked["target"], asked["trunk"]) == (201, "sip:+994501234567@[2001:db8::1]", "pbx")
    assert [server["host"] for server in asked["route"]["servers"]] == ["192.0.2.1"]


async def test_a_uri_goes_to_its_own_host_unless_a_trunk_is_named() -> None:
    _, straight = await dialled(target="sip:a@b")
    _, by_trunk = await dialled(target="sip:a@b", trunk="pbx")

    assert (straight["target"], straight["route"], straight["trunk"]) == ("sip:a@b", None, "")
    assert (by_trunk["target"], by_trunk["route"]["user"]) == ("sip:a@b", "aysel")


async def test_a_trunk_that_is_down_or_unknown_takes_no_call() -> None:
    assert await dialled(target="100", trunk="down") == (503, None)
    assert await dialled(target="100", trunk="other") == (404, None)


async def test_without_a_trunk_a_number_cannot_be_called() -> None:
    assert (await Dialling(Sip(), Links()).dial(Dial(target="100"))).status == 503  # type: ignore[arg-type]


async def test_a_placed_call_is_asked_for_at_its_worker() -> None:
    links = Links()
    dialling = Dialling(Sip(down=False, pbx=True), links)  # type: ignore[arg-type] - fakes
    await dialling.status("worker-1.abc")
    await dialling.hang_up("worker-1.abc")

    assert links.asked == [("worker-1", "GET", "abc"), ("worker-1", "DELETE", "abc")]
