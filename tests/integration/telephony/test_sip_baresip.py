"""baresip (Debian) calls the bot over TLS, and is handed over by it."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from telephony.errors import TransferFailedError
from telephony.leg import CallLeg, EndCause, LegEnded
from telephony.settings import SipTlsSettings
from tests.e2e import baresip as phone_of
from tests.e2e.baresip import baresip
from tests.fakes.certificates import issue
from tests.integration.telephony.sip_house import Carriage, answer, free_port, house


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(160_000))
    return path


@pytest.mark.parametrize("carriage", ["straight", "dispatched"])
async def test_a_phone_calls_over_tls_and_hangs_up(
    carriage: Carriage, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = issue(tmp_path / "tls")
    believes = f"sip_cafile {files.authority}\nsip_verify_server yes\n"
    monkeypatch.setattr(phone_of, "_CONFIG", phone_of._CONFIG + believes)
    tls = SipTlsSettings(
        port=0, certificate=str(files.certificate), key=str(files.key), authorities=str(files.authority)
    )
    folder = tmp_path / "phone"
    folder.mkdir()
    async with (
        house(answer, carriage=carriage, tls=tls) as ours,
        baresip(folder, wav=wav, transport="tls") as phone,
    ):
        await phone.command("dial", ours.uri("tls"))
        await phone.until("CALL_ESTABLISHED")
        await phone.command("hangup")
        await ours.settled()

        assert [type(end) for end in ours.ends()] == [LegEnded]
        assert ours.ends()[0] == LegEnded(EndCause.CALLER_HUNG_UP)


async def test_a_phone_is_told_to_call_somebody_else_and_what_becomes_of_it_is_followed(
    wav: Path, tmp_path: Path
) -> None:
    failures: list[int] = []

    async def hand_over(leg: CallLeg) -> None:
        await leg.answer()
        try:
            await leg.transfer(f"sip:nobody@127.0.0.1:{free_port()};transport=tcp")
        except TransferFailedError as error:
            failures.append(error.status)
        await leg.transfer(operator.uri())

    async with (
        house(answer) as operator,
        house(hand_over) as ours,
        baresip(tmp_path, wav=wav) as phone,
    ):
        await phone.command("dial", ours.uri())
        await phone.until("CALL_ESTABLISHED")
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.TRANSFERRED)]
        assert len(failures) == 1
        assert len(operator.told) == 1


async def test_a_phone_is_sent_keys_by_info(wav: Path, tmp_path: Path) -> None:
    async def press(leg: CallLeg) -> None:
        await leg.answer()
        await leg.send_digits("19#")
        await leg.hang_up()

    async with house(press, send_digits="info") as ours, baresip(tmp_path, wav=wav) as phone:
        await phone.command("dial", ours.uri())
        await phone.until("CALL_CLOSED")
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.BOT_HUNG_UP)]
        pressed = [event["param"] for event in phone.events if event.get("type") == "CALL_DTMF_START"]
        assert pressed == ["1", "9", "#"]
