"""`/v1/audio/conversations/...`: what the server knows of a conversation besides what it said itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from tts_engine.engine.recollection import Recollection
from tts_engine.errors import SpeechRequestError
from tts_engine.http_body import read_body
from tts_engine.protocol import IDENTIFIER_PATTERN, ConversationTurn, HeardUpdate, parse_body

_Name = Annotated[str, Path(pattern=IDENTIFIER_PATTERN)]


def conversation_routes(conversations: Recollection, *, body_timeout_s: float) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v1/audio/conversations")

    @router.put("/{conversation_id}/turns/{turn_id}", status_code=204)
    async def put_turn(conversation_id: _Name, turn_id: _Name, request: Request) -> Response:
        turn = parse_body(ConversationTurn, await read_body(request, timeout_s=body_timeout_s))
        if turn.turn_id != turn_id:
            raise SpeechRequestError(f"turn_id: {turn.turn_id!r} is not the path's {turn_id!r}", field="turn_id")
        await conversations.put_turn(conversation_id, turn)
        return Response(status_code=204)

    @router.patch("/{conversation_id}/turns/{turn_id}", status_code=204)
    async def heard(conversation_id: _Name, turn_id: _Name, request: Request) -> Response:
        update = parse_body(HeardUpdate, await read_body(request, timeout_s=body_timeout_s))
        await conversations.heard(conversation_id, turn_id, update.heard_s)
        return Response(status_code=204)

    @router.delete("/{conversation_id}/turns/{turn_id}", status_code=204)
    async def forget_turn(conversation_id: _Name, turn_id: _Name) -> Response:
        await conversations.forget_turn(conversation_id, turn_id)
        return Response(status_code=204)

    @router.delete("/{conversation_id}", status_code=204)
    async def forget(conversation_id: _Name) -> Response:
        await conversations.forget(conversation_id)
        return Response(status_code=204)

    return router
