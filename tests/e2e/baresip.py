"""baresip (Debian) as a caller: speaks a WAV file, records what it hears, driven over its control socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.telephony.sip_house import free_port
from tests.waiting import HUNG_S

_MODULES = "/usr/lib/baresip/modules"
_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
call_local_timeout 120
audio_source aufile,{wav}
audio_player aufile,{unused}
audio_alert aufile,{wav}
ausrc_srate {rate}
auplay_srate {rate}
audio_buffer 20-160
rtp_ports {rtp}-{rtp_end}
rtcp_mux no
jitter_buffer_type adaptive
jitter_buffer_delay 3-10
net_interface 127.0.0.1
module_path {modules}
module stdio.so
module g711.so
module g722.so
module opus.so
module srtp.so
module aufile.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
"""


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_sip_port() -> int:
    """A port that UDP and TCP have free, and TCP the next one: baresip binds all three, and does not start without."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as tls:
            tls.bind(("127.0.0.1", port + 1))
            return port


@dataclass
class Baresip:
    """One running baresip."""

    folder: Path
    port: int  # of SIP
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    events: list[dict[str, object]] = field(default_factory=list)

    async def command(self, name: str, params: str = "") -> None:
        message = json.dumps({"command": name, "params": params, "token": name}).encode()
        self.writer.write(f"{len(message)}:".encode() + message + b",")
        await self.writer.drain()

    async def until(self, kind: str, *, seconds: float = HUNG_S) -> dict[str, object]:
        """Wait for an event such as CALL_ESTABLISHED or CALL_CLOSED."""
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events:
                    if event.get("type") == kind:
                        return event
                await self._read()

    async def _read(self) -> None:
        length = int((await self.reader.readuntil(b":"))[:-1])
        message = json.loads(await self.reader.readexactly(length))
        await self.reader.readexactly(1)
        self.events.append(message)

    def heard(self) -> Path:
        """Return the WAV of what was heard (8 kHz)."""
        return max(self.folder.glob("dump-*-dec.wav"), key=lambda p: p.stat().st_size)

    def said(self) -> Path:
        """Return the WAV of what was sent; it lies beside what was heard on the same clock."""
        return max(self.folder.glob("dump-*-enc.wav"), key=lambda p: p.stat().st_size)


@asynccontextmanager
async def baresip(
    folder: Path,
    *,
    wav: Path,
    transport: str = "udp",
    account: str = "audio_codecs=pcmu,pcma",
    rate: int = 8_000,
    authority: Path | None = None,
) -> AsyncIterator[Baresip]:
    """Run baresip with `wav` (at `rate`) as its voice; ends it and its calls on exit.

    `account` are parameters of one that only calls, or a whole account if it begins with an address.
    """
    sip = _free_sip_port()
    while (control := _free_port(socket.SOCK_STREAM)) in (sip, sip + 1):
        pass
    rtp = 40_000 + _free_port(socket.SOCK_DGRAM) % 5_000 * 4
    config = _CONFIG.format(
        sip=sip,
        wav=wav,
        rate=rate,
        unused=folder / "unused.wav",
        rtp=rtp,
        rtp_end=rtp + 20,
        modules=_MODULES,
        control=control,
        folder=folder,
    )
    if authority is not None:  # whose certificates it believes
        config += f"sip_cafile {authority}\nsip_verify_server yes\n"
    (folder / "config").write_text(config)
    (folder / "contacts").write_text("")
    caller = "" if account.startswith("<") else f"<sip:caller@127.0.0.1;transport={transport}>;regint=0;"
    (folder / "accounts").write_text(f"{caller}{account}\n")
    log = (folder / "baresip.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "baresip", "-f", str(folder), "-n", "127.0.0.1", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
    )
    try:
        reader, writer = await _connect(control, process, folder / "baresip.log")
        phone = Baresip(folder, sip, reader, writer)
        yield phone
        with contextlib.suppress(ConnectionError):
            await phone.command("hangup")
            await phone.command("quit")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10.0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        log.close()


async def _connect(
    port: int, process: asyncio.subprocess.Process, log: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Reach its control socket, however long a busy machine takes to start it."""
    async with asyncio.timeout(HUNG_S):
        while True:
            assert process.returncode is None, log.read_text("utf-8", "replace")[-2000:]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
