"""Kamailio and rtpengine (Debian) with the configuration that ships, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.certificates import Certificates
from tests.integration.telephony.sip_house import free_port, listens
from tests.waiting import HUNG_S

DOCKER = Path(__file__).parents[3] / "docker" / "kamailio"
_SITE = """\
#!define EDGE_IP 127.0.0.1
#!define SIP_PORT {sip}
#!define WS_PORT {ws}
#!define WSS_PORT {wss}
{tls}
#!define TLS_PORT {tls_port}
#!define TLS_CERTIFICATE "{certificate}"
#!define TLS_KEY "{key}"
#!define RTPENGINE "udp:127.0.0.1:{ng}"
#!define DISPATCHER_LIST "{folder}/dispatcher.list"
#!define RPC_SOCKET "{folder}/rpc"
#!define PROBE_EVERY_S 1
#!define REQUESTS_IN_2_S {density}
#!substdef "!CALLS_PER_S!{calls_per_s}!g"
"""
_USERS = """\
event_route[htable:mod-init] {
	$sht(users=>1001) = "gizli";
	$sht(users=>1002) = "gizli2";
	$sht(trunks=>127.0.0.7) = 1;
}
"""


@dataclass
class KamailioEdge:
    """Where it listens."""

    folder: Path
    sip: int
    ws: int
    wss: int
    tls: int
    rtpengine: int

    async def rpc(self, method: str, *params: str) -> object:
        """Ask Kamailio over its datagram socket."""
        own = self.folder / f"rpc-{next(_numbers)}"
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.bind(str(own))
            request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
            await loop.sock_sendto(asking, json.dumps(request).encode(), str(self.folder / "rpc"))
            async with asyncio.timeout(HUNG_S):
                reply = json.loads(await loop.sock_recv(asking, 65_535))
        own.unlink()
        return reply["result"]

    async def bots(self) -> dict[str, str]:
        """Flags of each bot: `AP` active and probed, `IP` passed over and probed."""
        result = await self.rpc("dispatcher.list")
        assert isinstance(result, dict)
        return {
            target["DEST"]["URI"]: target["DEST"]["FLAGS"]
            for record in result["RECORDS"]
            for target in record["SET"]["TARGETS"]
        }

    async def until_bots(self, *flags: str, seconds: float = HUNG_S) -> None:
        """Wait until the bots have these flags, in any order."""
        async with asyncio.timeout(seconds):
            while sorted((await self.bots()).values()) != sorted(flags):
                await asyncio.sleep(0.1)

    @property
    def log(self) -> str:
        """What Kamailio wrote."""
        return (self.folder / "kamailio.log").read_text(errors="replace")


_numbers = itertools.count()


@asynccontextmanager
async def kamailio_edge(
    folder: Path,
    bots: Sequence[int],
    *,
    tls: Certificates | None = None,
    density: int = 10_000,
    calls_per_s: int = 50,
) -> AsyncIterator[KamailioEdge]:
    """Run both in front of bots at these ports; TLS is heard where there is a certificate."""
    edge = KamailioEdge(folder, *(free_port() for _ in range(5)))
    ng, rtp = edge.rtpengine, 41_000 + os.getpid() % 100 * 40
    for path in DOCKER.iterdir():
        shutil.copy(path, folder)
    site = _SITE.format(
        sip=edge.sip,
        ws=edge.ws,
        wss=edge.wss,
        tls_port=edge.tls,
        tls="#!define WITH_TLS" if tls else "",
        certificate=tls.certificate if tls else "",
        key=tls.key if tls else "",
        ng=ng,
        folder=folder,
        density=density,
        calls_per_s=calls_per_s,
    )
    (folder / "local.cfg").write_text(site)
    (folder / "users.cfg").write_text(_USERS)
    (folder / "dispatcher.list").write_text("".join(f"1 sip:127.0.0.1:{port} 0 0\n" for port in bots))
    rtpengine = [
        *("rtpengine", "--config-file=none", "--table=-1", "--interface=127.0.0.1", "--foreground", "--log-stderr"),
        *("--log-level=4", f"--listen-ng=127.0.0.1:{ng}", f"--port-min={rtp}", f"--port-max={rtp + 39}"),
        *("--num-threads=2", "--delete-delay=0", f"--pidfile={folder}/rtpengine.pid"),
    ]
    kamailio = [
        *("kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-P", str(folder / "kamailio.pid")),
        *("-Y", str(folder), "-m", "64", "-M", "8"),
    ]
    async with _process(rtpengine, folder / "rtpengine.log"):
        await _until(lambda: listens(ng, "udp"))  # Kamailio asks it once, and again only after a while
        async with _process(kamailio, folder / "kamailio.log"):
            ports = (edge.sip, edge.ws, *((edge.tls, edge.wss) if tls else ()))
            await _until(lambda: (folder / "rpc").exists() and all(listens(port, "tcp") for port in ports))
            yield edge


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HUNG_S):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _process(command: Sequence[str], log: Path) -> AsyncIterator[None]:
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream
        )
        try:
            yield
            assert process.returncode is None, log.read_text(errors="replace")[-3000:]
        finally:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), HUNG_S)
            if process.returncode is None:
                process.kill()
                await process.wait()
