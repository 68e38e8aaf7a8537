"""`Trunk`: one provider or PBX as we see it: registered with, kept alive, left (RFC 3261 section 10, RFC 5626).

A trunk without registration is up as soon as its servers are found; where it is probed by OPTIONS, as soon as
one of them answers. Names are resolved by whoever drives it: `ServersWanted`, then `servers_found`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from telephony.errors import SipParseError
from telephony.sip.auth import authorization
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response, header_number
from telephony.sip.registration import TrunkRequest, binding_expiry, build_options, build_register
from telephony.sip.retry_after import retry_after_s
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.trunk_events import (
    SendKeepAlive,
    SendRequest,
    ServersWanted,
    TrunkChanged,
    TrunkConfig,
    TrunkOutput,
    TrunkRoute,
)
from telephony.sip.via import BRANCH_COOKIE

MAX_TRIES = 3
"""How often one server is asked in a row: challenged, challenged by a stale nonce, told 423."""

FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 1800.0
"""RFC 5626 section 4.5: how long a trunk whose every server failed is let be, doubled each time."""

PONG_WAIT_S = 10.0  # RFC 5626 section 4.4.1
_MAX_DELTA_S = 2**32 - 1


class State(Enum):
    """States of the machine."""

    RESOLVING = auto()  # its servers' addresses are asked for
    TRYING = auto()  # a server was asked and has not answered
    UP = auto()
    REFRESHING = auto()  # it is up; the registration is being renewed
    WAITING = auto()  # every server failed
    LEAVING = auto()  # our binding is being taken back
    CLOSED = auto()


class Cause(Enum):
    """What moves the machine."""

    FOUND = auto()
    NOT_FOUND = auto()
    ASK_AGAIN = auto()  # with credentials, for longer, or another server
    ACCEPTED = auto()
    EXHAUSTED = auto()  # no server is left to ask
    REFRESH = auto()
    FAILED = auto()  # the server or the way to it is gone
    RETRY = auto()
    LEAVE = auto()  # there may be a binding to take back
    DROP = auto()  # there is none
    LEFT = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.RESOLVING, Cause.FOUND): State.TRYING,
    (State.RESOLVING, Cause.NOT_FOUND): State.WAITING,
    (State.RESOLVING, Cause.DROP): State.CLOSED,
    (State.TRYING, Cause.ASK_AGAIN): State.TRYING,
    (State.TRYING, Cause.ACCEPTED): State.UP,
    (State.TRYING, Cause.EXHAUSTED): State.WAITING,
    (State.TRYING, Cause.LEAVE): State.LEAVING,
    (State.TRYING, Cause.DROP): State.CLOSED,
    (State.UP, Cause.REFRESH): State.REFRESHING,
    (State.UP, Cause.FAILED): State.TRYING,
    (State.UP, Cause.LEAVE): State.LEAVING,
    (State.UP, Cause.DROP): State.CLOSED,
    (State.REFRESHING, Cause.ASK_AGAIN): State.REFRESHING,
    (State.REFRESHING, Cause.ACCEPTED): State.UP,
    (State.REFRESHING, Cause.FAILED): State.TRYING,
    (State.REFRESHING, Cause.LEAVE): State.LEAVING,
    (State.WAITING, Cause.RETRY): State.RESOLVING,
    (State.WAITING, Cause.DROP): State.CLOSED,
    (State.LEAVING, Cause.ASK_AGAIN): State.LEAVING,
    (State.LEAVING, Cause.LEFT): State.CLOSED,
}
_UP = (State.UP, State.REFRESHING)


class Trunk:
    """One trunk. Feed it, then `poll` until None, then sleep until `timer_at()`."""

    def __init__(self, config: TrunkConfig, *, new_token: Callable[[], str]) -> None:
        self._config = config
        self._new_token = new_token
        self._machine = StateMachine(TABLE, State.RESOLVING)
        self._timers = TimerSet()
        self._output: deque[TrunkOutput] = deque([ServersWanted(config.name)])
        self._call_id = f"{new_token()}@{config.identity.host}"
        self._tag = new_token()[:16]
        self._cseq = 0
        self._servers: Sequence[Flow] = ()
        self._at = 0  # which server is asked, or used
        self._untried = 0  # servers left before we wait
        self._asked: Request | None = None
        self._tries = 0
        self._probe: Request | None = None
        self._expires_s = config.expires_s
        self._failures = 0
        self._pongs = False  # the server has answered a keep-alive, so it answers all of them
        self._service_route: tuple[str, ...] = ()
        self._told_up: bool | None = None

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    @property
    def call_id(self) -> str:
        """Call-ID of every request of ours to it."""
        return self._call_id

    @property
    def route(self) -> TrunkRoute | None:
        """How calls go out by it; None while it is down."""
        if self.state not in _UP:
            return None
        # What the registrar said of the way (RFC 3608) holds for the server that said it.
        others = () if self._service_route else (*self._servers[self._at + 1 :], *self._servers[: self._at])
        return TrunkRoute(self._flow, self._config.domain, self._config.identity.user, self._service_route, others)

    @property
    def _flow(self) -> Flow:
        return self._servers[self._at]

    def poll(self) -> TrunkOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return self._timers.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (timer := self._timers.pop_due(now)) is not None:
            match timer:
                case Timer.REFRESH:
                    self._machine.step(Cause.REFRESH)
                    self._tries = 0
                    self._ask()
                case Timer.RETRY:
                    self._machine.step(Cause.RETRY)
                    self._output.append(ServersWanted(self._config.name))
                case Timer.KEEP_ALIVE:
                    self._keep_alive(now)
                case Timer.PROBE:
                    self._send_probe()
                case _:
                    self._fail("it does not answer keep-alives", now)

    def servers_found(self, servers: Sequence[Flow], *, now: float) -> None:
        """Take the addresses of its servers, in the order to try them; none when no name could be resolved."""
        if not self._machine.step(Cause.FOUND if servers else Cause.NOT_FOUND):
            return
        self._servers, self._at, self._untried = servers, 0, len(servers)
        if servers:
            self._try_server(now)
        else:
            self._wait(now, "its servers' names cannot be resolved")

    # Asking

    def _try_server(self, now: float) -> None:
        self._untried -= 1
        self._tries = 0
        self._pongs = False
        if self._config.registers or self._config.options_s:
            self._ask()
        else:
            self._come_up(now)

    def _ask(self, extra: tuple[tuple[str, str], ...] = (), *, expires_s: int | None = None) -> None:
        self._tries += 1
        if self._config.registers:
            self._asked = build_register(
                self._next_request(),
                expires_s=self._expires_s if expires_s is None else expires_s,
                outbound=self._config.outbound,
                extra=extra,
            )
        else:
            self._asked = build_options(self._next_request())
        self._output.append(SendRequest(self._asked, self._flow))

    def _next_request(self) -> TrunkRequest:
        self._cseq += 1
        config, branch = self._config, f"{BRANCH_COOKIE}{self._new_token()}"
        return TrunkRequest(config.identity, self._flow, config.domain, self._call_id, self._cseq, self._tag, branch)

    def _send_probe(self) -> None:
        self._probe = build_options(self._next_request())
        self._output.append(SendRequest(self._probe, self._flow))

    def _keep_alive(self, now: float) -> None:
        self._timers.start(Timer.KEEP_ALIVE, now + self._config.keep_alive_s)
        if self._pongs:
            self._timers.start(Timer.PONG, now + PONG_WAIT_S)
        self._output.append(SendKeepAlive(self._flow))

    # What comes of it

    def ponged(self, flow: Flow) -> None:
        """Note that a CRLF came from there (RFC 5626 section 4.4.1)."""
        if self._servers and (flow.host, flow.port) == (self._flow.host, self._flow.port) and flow.reliable:
            self._pongs = True
            self._timers.stop(Timer.PONG)

    def receive_response(self, response: Response, *, now: float) -> None:
        """Take a final or provisional response to a request of ours."""
        if response.status < 200:
            return
        branch = response.via.branch
        if self._probe is not None and self._probe.via.branch == branch:
            self._probe = None
            self._take_probe(response, now)
        elif self._asked is not None and self._asked.via.branch == branch:
            asked, self._asked = self._asked, None
            try:
                self._take_answer(asked, response, now)
            except SipParseError as error:
                self._next_server(f"its answer is malformed: {error}", now)

    def _take_probe(self, response: Response, now: float) -> None:
        """Whatever it says, it is alive, unless it says that it has no service to give (RFC 3261 section 11)."""
        if response.status in (408, 503):
            self._fail(f"OPTIONS was answered {response.status}", now)
        else:
            self._timers.start(Timer.PROBE, now + self._config.options_s)

    def _take_answer(self, asked: Request, response: Response, now: float) -> None:
        status = response.status
        if status in (401, 407) and self._authenticate(asked, response):
            return
        if self.state is State.LEAVING:
            self._machine.step(Cause.LEFT)
        elif not self._config.registers:
            # Section 11: any answer but these shows that calls can be sent there.
            if status in (408, 503):
                self._next_server(f"OPTIONS was answered {status}", now, response=response)
            else:
                self._come_up(now)
        elif status < 300:
            self._service_route = tuple(response.headers.listed("Service-Route"))
            self._come_up(now, binding_expiry(response, asked, default_s=self._expires_s))
        elif status == 423 and self._tries < MAX_TRIES:
            # Section 10.3 step 7; what it names is not believed beyond a day.
            least_s = header_number(response, "Min-Expires", maximum=_MAX_DELTA_S) or self._expires_s
            self._expires_s = min(max(least_s, self._expires_s), 86_400)
            self._machine.step(Cause.ASK_AGAIN)
            self._ask()
        elif status >= 500 or status == 408:
            self._next_server(f"REGISTER was answered {status}", now, response=response)
        else:
            # Wrong credentials are wrong at every server, and asking again soon may lock the account.
            self._failures = 16
            self._untried = 0
            self._next_server(f"REGISTER was answered {status}", now)

    def _authenticate(self, asked: Request, response: Response) -> bool:
        credentials = self._config.credentials
        if credentials is None or self._tries >= MAX_TRIES or asked.method != "REGISTER":
            return False
        answered = authorization(credentials, asked, response, cnonce=self._new_token())
        if answered is None:
            return False
        self._machine.step(Cause.ASK_AGAIN)
        self._ask((answered,), expires_s=0 if self.state is State.LEAVING else None)
        return True

    def request_failed(self, branch: str, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        if self._probe is not None and self._probe.via.branch == branch:
            self._probe = None
            self._fail("OPTIONS was not answered", now)
        elif self._asked is not None and self._asked.via.branch == branch:
            self._asked = None
            if not self._machine.step(Cause.LEFT):
                self._next_server("it does not answer", now)

    def flow_lost(self, flow: Flow, *, now: float) -> None:
        """Note that a connection is gone: the trunk can call us no more, so it is registered with anew."""
        if self.state is State.UP and flow == self._flow:
            self._fail("its connection broke", now, same_server=True)

    def _come_up(self, now: float, expires_s: int | None = None) -> None:
        self._machine.step(Cause.ACCEPTED)
        self._failures = 0
        if expires_s is not None:
            # Well before the end, and not all at once after a restart of the registrar.
            self._timers.start(Timer.REFRESH, now + expires_s * (0.7 + 0.2 * self._fraction()))
        if self._config.keep_alive_s:
            self._timers.start(Timer.KEEP_ALIVE, now + self._config.keep_alive_s)
        if self._config.options_s:
            self._timers.start(Timer.PROBE, now + self._config.options_s)
        self._tell(up=True)

    def _fail(self, detail: str, now: float, *, same_server: bool = False) -> None:
        """Leave the server that was used: it or the way to it is gone."""
        self._machine.step(Cause.FAILED)
        self._timers.stop_all()
        self._tell(up=False, detail=detail)
        self._asked = self._probe = None
        self._untried = len(self._servers)
        if not same_server:
            self._at = (self._at + 1) % len(self._servers)
        self._try_server(now)

    def _next_server(self, detail: str, now: float, *, response: Response | None = None) -> None:
        if self.state is State.REFRESHING:
            self._machine.step(Cause.FAILED)
            self._untried = max(self._untried, len(self._servers) - 1) if self._failures == 0 else 0
        self._timers.stop_all()
        self._tell(up=False, detail=detail)
        if self._untried > 0:
            self._at = (self._at + 1) % len(self._servers)
            self._machine.step(Cause.ASK_AGAIN)
            self._try_server(now)
            return
        self._machine.step(Cause.EXHAUSTED)
        self._wait(now, detail, at_least_s=retry_after_s(response, longest_s=LONGEST_WAIT_S))

    def _wait(self, now: float, detail: str, *, at_least_s: float = 0.0) -> None:
        longest_s = min(FIRST_WAIT_S * 2**self._failures, LONGEST_WAIT_S)
        self._failures = min(self._failures + 1, 16)
        self._tell(up=False, detail=detail)
        self._timers.start(Timer.RETRY, now + max(longest_s * (0.5 + 0.5 * self._fraction()), at_least_s))

    def _tell(self, *, up: bool, detail: str = "") -> None:
        if self._told_up is not up:
            self._told_up = up
            self._output.append(TrunkChanged(self._config.name, up, detail))

    def _fraction(self) -> float:
        return int(self._new_token()[:8], 16) / 0xFFFF_FFFF

    # Leaving

    def leave(self) -> None:
        """Take our binding back (section 10.2.2); the trunk is `CLOSED` once that is answered. Idempotent."""
        bound = self._config.registers and self._machine.step(Cause.LEAVE)
        self._timers.stop_all()
        self._probe = None
        if bound:
            self._tries = 0
            self._ask(expires_s=0)
        else:
            self._machine.step(Cause.DROP)
