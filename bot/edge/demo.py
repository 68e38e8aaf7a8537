"""The demo flows' HTTP service as a process: `python -m bot.edge.demo [PORT]`."""

from __future__ import annotations

import sys

import uvicorn

from bot.flows.demo_service import HOST, PORT, create_app

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    uvicorn.run(create_app(), host=HOST, port=port, log_level="warning")
