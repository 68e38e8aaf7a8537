"""Whole calls through the shipped flows, with the real tool client and the real demo service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
import uvicorn

from bot.flows.actions import CallTool, HangUp, ToolAnswered
from bot.flows.demo_service import PORT, create_app
from bot.flows.flow import Flow
from bot.flows.loader import LIBRARY, parse_flow, read_text
from bot.flows.rehearsal import Rehearsal
from bot.flows.tools import ToolClient

_MONDAY_NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 (wall clock of the flow's own zone)


@pytest.fixture
def port() -> Iterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(create_app(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    ready = threading.Event()
    startup = server.startup

    async def announce(*arguments: object, **options: object) -> None:
        await startup(*arguments, **options)  # type: ignore[arg-type] (passed through)
        ready.set()

    server.startup = announce  # type: ignore[method-assign] (uvicorn tells nobody that it has started)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(20)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def _call(name: str, port: int) -> Rehearsal:
    path = LIBRARY / f"{name}.flow.yaml"
    flow = parse_flow(read_text(path).replace(f":{PORT}/", f":{port}/"), file=path.name)

    def tools(call: CallTool) -> ToolAnswered:
        return asyncio.run(_answer(flow, call))

    call = Rehearsal(flow, at=_MONDAY_NOON, tools=tools)
    call.start()
    return call


async def _answer(flow: Flow, call: CallTool) -> ToolAnswered:
    async with ToolClient(secrets_by_name={}, private_hosts=["127.0.0.1"]) as client:
        return await client.call(flow, call)


def _say(call: Rehearsal, *turns: str) -> None:
    for turn in turns:
        call.hear(turn)


def test_a_visit_is_booked_and_a_second_caller_finds_the_time_taken(port: int) -> None:
    first = _call("klinika", port)
    _say(first, "Sabah saat ikiyə həkimə yazılmaq istəyirəm", "bəli", "050 123 45 67", "bəli")
    assert first.said.startswith(
        "Bir saniyə, yazıram. Hazırdır. Sizi 24 noyabr saat 14:00-a yazdım. Qəbul nömrəniz A17."
    )
    _say(first, "xeyr")
    assert isinstance(first.ended, HangUp)
    second = _call("klinika", port)
    _say(second, "qəbula yazılmaq", "sabah saat ikidə", "hə", "055 212 33 20", "düzdür")
    assert "Ən yaxın boş vaxt saat 14:30-dır" in second.said
    _say(second, "on dörd otuz", "bəli")
    assert "Qəbul nömrəniz A18" in second.said


def test_a_balance_is_told_and_a_card_is_blocked(port: int) -> None:
    call = _call("bank", port)
    _say(call, "balansım nə qədərdir", "beş a be ce bir iki üç", "bəli", "14 may 1990")
    assert "Hesabınızda 1250,40 manat var." in call.said
    _say(call, "kartımı itirmişəm", "qırx üç iyirmi bir", "bəli")
    assert "Kartınız bloklandı." in call.said


def test_a_reading_is_taken_and_an_outage_is_told(port: int) -> None:
    call = _call("kommunal", port)
    _say(call, "sayğac göstəricisi", "on iki otuz dörd əlli altı yetmiş səkkiz", "düzdür", "dörd min üç yüz", "bəli")
    assert "90 vahid" in call.said
    _say(call, "Xətaidə su yoxdur")
    assert "Xətai rayonunda su saat 21:30-dək olmayacaq." in call.said
