"""WS /v1/realtime: who may come in, and how one is turned away."""

from contextlib import closing

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from moss_speech.settings import settings
from services.errors import ApiError, answer_api_error, note_refusal
from services.models import check_model
from services.realtime.connection import Connection
from services.realtime.conversation import new_id
from services.realtime.told import error as told_error
from services.recording import may_record
from services.runtime import Runtime

router = APIRouter()
PROTOCOL = "realtime"
_TRY_AGAIN, _NOT_ALLOWED = 1013, 1008


async def _turn_away(websocket: WebSocket, error: ApiError) -> None:
    """Refuse the handshake with the error's HTTP answer.

    A page cannot read that; it offers the subprotocol, so it is let in to be told, and sent away
    with the seconds to wait as the reason of the close.
    """
    if PROTOCOL not in websocket.scope["subprotocols"]:
        await websocket.send_denial_response(await answer_api_error(websocket, error))
        return
    note_refusal(websocket, error)
    await websocket.accept(PROTOCOL)
    await websocket.send_json({"event_id": new_id("event"), **told_error(error, None)})
    if error.retry_after_s is None:
        await websocket.close(_NOT_ALLOWED)
    else:
        await websocket.close(_TRY_AGAIN, f"retry-after: {error.retry_after_s}")


@router.websocket("/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    """One live conversation."""
    runtime: Runtime = websocket.app.state.runtime
    limits, offered = settings(), websocket.scope["subprotocols"]
    try:
        caller = await runtime.access.caller(websocket, "realtime")
        check_model(websocket.query_params.get("model", runtime.model.name), runtime)
        with closing(await runtime.open(caller, may_record(websocket))) as talk:
            await websocket.accept(PROTOCOL if PROTOCOL in offered else None)
            connection = Connection(
                websocket, talk, caller, runtime.access, runtime.metrics,
                max_session_s=limits.session_s,
                max_idle_s=limits.session_idle_s,
                max_unsent_bytes=limits.max_unsent_kib * 1024,
            )  # fmt: skip
            await connection.run()
    except ApiError as error:
        await _turn_away(websocket, error)
    except WebSocketDisconnect:  # during the handshake
        pass
