"""The demo flows' HTTP service as a process: `python -m bot.edge.demo`."""

from __future__ import annotations

import uvicorn

from bot.flows.demo_service import HOST, PORT, create_app

if __name__ == "__main__":
    uvicorn.run(create_app(), host=HOST, port=PORT, log_level="warning")
