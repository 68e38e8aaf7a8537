"""A bot and Debian's linphonec in one network namespace: `unshare --net python linphone_call.py FOLDER`, prints JSON.

linphonec listens on all addresses and cannot be told otherwise; here there is nothing but loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from telephony.leg import CallLeg
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import serve_sip
from tests.e2e.sound import read_wav, write_wav
from tests.integration.telephony.test_baresip_media import HERE_HZ, THERE_HZ, Talk, pitch, tone

_CONFIG = """\
[sip]
sip_port=5076
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
contact=sip:lin@127.0.0.1
register_only_when_network_is_up=0
media_encryption=srtp
[rtp]
audio_rtp_port=42000-42999
[video]
enabled=0
capture=0
display=0
"""


async def main(folder: Path) -> dict[str, object]:
    """Have linphonec call the bot with SRTP; say what each side heard."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (folder / ".local" / "share" / "linphone").mkdir(parents=True)
    (folder / "linrc").write_text(_CONFIG)
    write_wav(folder / "voice.wav", tone(THERE_HZ, 16_000, 30), 16_000)
    talk, tasks = Talk(), []

    def on_call(leg: CallLeg) -> None:
        tasks.append(asyncio.create_task(talk.run(leg)))

    factory = RtpMediaFactory(RtpSettings(codecs=("opus", "PCMA"), port_min=21_000, port_max=21_099))
    await factory.start()
    endpoint, sockets = await serve_sip(SipSettings(port=0), media=factory, on_call=on_call)
    with (folder / "out.log").open("wb") as log:
        phone = await asyncio.create_subprocess_exec(
            "linphonec", "-c", str(folder / "linrc"), "-d", "6", "-l", str(folder / "lin.log"),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)}, cwd=folder,
        )  # fmt: skip
        assert phone.stdin is not None
        call = f"call sip:bot@127.0.0.1:{sockets.address[1]}"
        for line in ("soundcard use files", f"play {folder}/voice.wav", f"record {folder}/heard.wav", call):
            phone.stdin.write(line.encode() + b"\n")
            await phone.stdin.drain()
            await asyncio.sleep(0.3)
        await talk.until_heard()
        phone.stdin.write(b"terminate\n")
        await phone.stdin.drain()
        try:
            await asyncio.wait_for(talk.over.wait(), 20)
            phone.stdin.write(b"quit\n")
            await asyncio.wait_for(phone.wait(), 10)
        except TimeoutError:
            phone.kill()
            await phone.wait()
    await endpoint.close(within_s=0.5)
    await sockets.close()
    await factory.stop()
    heard = np.frombuffer(b"".join(talk.heard), "<i2")
    recorded, rate = read_wav(folder / "heard.wav")
    return {
        "codec": talk.stats.codec, "encrypted": talk.stats.encrypted, "lost": talk.stats.lost,
        "pitch_here": pitch(heard, 16_000) if len(heard) else 0.0,
        "pitch_there": pitch(recorded, rate) if len(recorded) else 0.0,
        "expected": [THERE_HZ, HERE_HZ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
