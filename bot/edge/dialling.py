"""`Dialling`: the edge's part in placing a call: which trunk it goes out by, and which worker holds it."""

from __future__ import annotations

from bot.edge.links import OfferAnswer, WorkerLinks
from bot.edge.sip import EdgeSip
from bot.placed_calls import WorkerDial, WorkerRoute
from bot.web.calls import Dial
from telephony.sip.trunk_events import TrunkRoute
from telephony.sip.uri import bracketed


class Dialling:
    """Passes calls on to workers."""

    def __init__(self, sip: EdgeSip, links: WorkerLinks) -> None:
        self._sip = sip
        self._links = links

    async def dial(self, dial: Dial) -> OfferAnswer:
        """Choose a trunk, write the target as it wants it, and ask the worker with the most places."""
        named = dial.target.lower().startswith(("sip:", "sips:"))
        trunk = dial.trunk
        if not trunk and not named:
            trunk = next((name for name in self._sip.trunks_up if self._sip.route(name) is not None), "")
            if not trunk:
                return OfferAnswer(503, {"detail": "a number needs a trunk that is up; give a sip: URI otherwise"})
        route: TrunkRoute | None = None
        if trunk:
            if trunk not in self._sip.trunks_up:
                return OfferAnswer(404, {"detail": f"there is no trunk {trunk!r}"})
            route = self._sip.route(trunk)
            if route is None:
                return OfferAnswer(503, {"detail": f"trunk {trunk} is down, or asks to be left alone"})
        target = dial.target if named or route is None else f"sip:{dial.target}@{bracketed(route.domain)}"
        request = WorkerDial(
            target=target,
            caller=dial.caller,
            flow=dial.flow,
            variables=dial.variables,
            trunk=trunk,
            route=None if route is None else WorkerRoute.of(route),
        )
        return await self._links.dial(request.model_dump())

    async def status(self, call_id: str) -> OfferAnswer:
        """Tell how far a call is."""
        worker, _, number = call_id.partition(".")
        return await self._links.placed(worker, "GET", number)

    async def hang_up(self, call_id: str) -> OfferAnswer:
        """End a call."""
        worker, _, number = call_id.partition(".")
        return await self._links.placed(worker, "DELETE", number)
