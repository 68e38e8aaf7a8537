"""What a person reads when the service is up."""

from __future__ import annotations

from bot.web.app import Info


def banner(info: Info, page_url: str) -> str:
    """Where to call, and what answers."""
    lines = [
        "",
        "  Zəng is up. Ctrl-C ends it.",
        "",
        f"  page   {page_url}",
        *([f"  phone  {info.sip_uri}"] if info.sip_uri else []),
        "",
        f"  flow           {info.flow}",
        f"  recogniser     {info.recogniser}",
        f"  understanding  {info.understanding}",
        f"  voice          {info.voice}",
        "",
        "  Change them in a TOML file (zeng demo --config zeng.toml) or by environment, e.g.",
        "    ZENG_FLOW__PATH=bank  ZENG_RECOGNISER__URL=http://gpu:8000/v1",
        "  All names are in docs/configuration.md.",
        "",
    ]
    return "\n".join(lines)
