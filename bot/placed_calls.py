"""`PlacedCalls`: calls that a worker places when it is asked to, and what became of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from bot.events import Who
from bot.flow_choice import VARIABLE
from telephony.errors import CapacityError
from telephony.leg import CallLeg, LegEnded
from telephony.sip.flow import Flow
from telephony.sip.trunk_events import TrunkRoute

_REMEMBERED = 256


class WorkerServer(BaseModel):
    """One server of a trunk."""

    model_config = ConfigDict(extra="forbid")
    transport: Literal["udp", "tcp", "tls"]
    host: str
    port: int
    server_name: str

    @classmethod
    def of(cls, flow: Flow) -> WorkerServer:
        """Write a server for the wire."""
        return cls(transport=flow.transport, host=flow.host, port=flow.port, server_name=flow.server_name)

    def flow(self) -> Flow:
        """Read it back."""
        return Flow(self.transport, self.host, self.port, server_name=self.server_name)


class WorkerRoute(BaseModel):
    """How a call goes out by a trunk that the edge found to be up."""

    model_config = ConfigDict(extra="forbid")
    servers: tuple[WorkerServer, ...] = Field(min_length=1)  # in the order to try them
    domain: str
    user: str
    service_route: tuple[str, ...] = ()

    @classmethod
    def of(cls, route: TrunkRoute) -> WorkerRoute:
        """Write a route for the wire."""
        servers = tuple(WorkerServer.of(flow) for flow in (route.flow, *route.others))
        return cls(servers=servers, domain=route.domain, user=route.user, service_route=route.service_route)

    def trunk_route(self) -> TrunkRoute:
        """Read it back."""
        first, *others = (server.flow() for server in self.servers)
        return TrunkRoute(first, self.domain, self.user, self.service_route, tuple(others))


class WorkerDial(BaseModel):
    """A call to place, as the edge passes it on."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(min_length=1, max_length=1000)
    caller: str = Field(default="", max_length=64)
    flow: str = Field(default="", max_length=64)
    variables: dict[str, str] = Field(default_factory=dict[str, str], max_length=32)
    trunk: str = ""
    route: WorkerRoute | None = None


class PlacedStatus(BaseModel):
    """How far a placed call is."""

    state: Literal["calling", "ringing", "answered", "ended"]
    answered_by: Who | Literal[""] = ""  # as far as it is known
    cause: str = ""
    detail: str = ""
    q850: int | None = None


class PlacedLeg(CallLeg, Protocol):
    """What is asked of a leg that was placed."""

    @property
    def answered(self) -> bool: ...
    @property
    def ringing_status(self) -> int: ...


@dataclass(slots=True)
class _Placed:
    leg: PlacedLeg
    ended: LegEnded | None = field(default=None)
    answered_by: Who | Literal[""] = ""


class PlacedCalls:
    """Knows the last 256 of them. `place` sends the INVITE, `take` starts the conversation, `free` counts places."""

    def __init__(
        self,
        *,
        place: Callable[[WorkerDial], Coroutine[object, object, PlacedLeg]],
        take: Callable[[CallLeg], None],
        free: Callable[[], int],
        check_flow: Callable[[str, Collection[str]], Awaitable[None]],
    ) -> None:
        self._place = place
        self._take = take
        self._free = free
        self._check_flow = check_flow
        self._calls: OrderedDict[str, _Placed] = OrderedDict()

    async def dial(self, request: WorkerDial) -> str:
        """Place a call and return its id; raises `BotError` for flow and variables, `TelephonyError` for the rest."""
        await self._check_flow(request.flow, request.variables)
        if request.flow:
            request = request.model_copy(update={"variables": {**request.variables, VARIABLE: request.flow}})
        if not self._free():
            raise CapacityError("all places are taken")
        leg = await self._place(request)
        if not self._free():  # taken while names were looked up, or a drain has begun: nobody would ever end this one
            await leg.hang_up()
            raise CapacityError("all places are taken")
        self._calls[leg.info.call_id] = _Placed(leg)
        while len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)
        self._take(leg)
        return leg.info.call_id

    def ended(self, call_id: str, ended: LegEnded) -> None:
        """Note how a call ended; one that was not placed here is passed over."""
        if call_id in self._calls:
            self._calls[call_id].ended = ended

    def answered_by(self, call_id: str, who: Who) -> None:
        """Note who answered."""
        if call_id in self._calls:
            self._calls[call_id].answered_by = who

    def status(self, call_id: str) -> PlacedStatus | None:
        """Tell how far a call is; None for one that is not known, or no more."""
        placed = self._calls.get(call_id)
        if placed is None:
            return None
        if (ended := placed.ended) is not None:
            return PlacedStatus(
                state="ended",
                answered_by=placed.answered_by,
                cause=ended.cause.value,
                detail=ended.detail,
                q850=ended.q850,
            )
        if placed.leg.answered:
            return PlacedStatus(state="answered", answered_by=placed.answered_by)
        return PlacedStatus(state="ringing" if placed.leg.ringing_status else "calling")

    async def hang_up(self, call_id: str) -> bool:
        """End a call; False for one that is not known."""
        placed = self._calls.get(call_id)
        if placed is None:
            return False
        await placed.leg.hang_up()
        return True
