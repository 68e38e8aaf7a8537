"""Calls against latency, MOS and underruns: `zeng demo` on this machine, called by `zeng loadtest`.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_load.py keys sip 1,4,8
    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_load.py voice webrtc knee --hold 60 --to 64

`keys` is rules and cached prompts, `voice` has the recogniser in the way (plans in tests/bench/plans). The report with
its recordings is left in the folder that it names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from bot.loadtest.cli import write_report
from bot.loadtest.conductor import Conductor
from bot.loadtest.markdown import markdown
from bot.loadtest.plan import load_plan
from tests.e2e.service import running_service

PLANS = Path(__file__).parent / "plans"
WARM_S = 30.0  # understanding learns the flow after the start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=("keys", "voice"), nargs="?", default="keys")
    parser.add_argument("transport", choices=("sip", "webrtc"), nargs="?", default="sip")
    parser.add_argument("loads", nargs="?", default="1,4", help="loads one after another, or: knee")
    parser.add_argument("--hold", type=float, default=30.0)
    parser.add_argument("--to", type=int, default=128, help="the highest load of a search")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--codec", default="", help="the only one of the bot, such as PCMA; else Opus is agreed on")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="zeng-load-"))
    settings = {
        "ZENG_WORKERS__COUNT": str(arguments.workers),
        "ZENG_WORKERS__CALLS": "250",
        "ZENG_WEB__CALL_RECORDS": "true",
        "ZENG_RTP__PORT_MIN": "20000",
        "ZENG_RTP__PORT_MAX": "29999",
    }
    if arguments.codec:
        settings["ZENG_RTP__CODECS"] = json.dumps([arguments.codec])
    shape: dict[str, object] = {"hold_s": arguments.hold}
    if arguments.loads == "knee":
        shape |= {"find_knee": arguments.to, "calls": 1}
    else:
        shape["steps"] = [int(load) for load in arguments.loads.split(",")]
    with running_service(folder, **settings) as service:
        time.sleep(WARM_S)
        target = service.sip if arguments.transport == "sip" else service.page
        overrides: dict[str, object] = {"target": target, "shape": shape, "metrics_url": service.page}
        plan = load_plan(PLANS / f"{arguments.plan}.plan.yaml", overrides | {"processes": arguments.processes})
        conductor = Conductor(
            plan, folder, on_progress=lambda *_: None, on_stage=lambda stage: print(f"{stage.name} done", flush=True)
        )
        report = asyncio.run(conductor.run())
    write_report(report, folder)
    print(markdown(report))
    print(f"report: {folder}")


if __name__ == "__main__":
    main()
