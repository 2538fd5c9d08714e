"""GET /v1/models: the model that is served, its version, and what it was made of."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from moss_speech.inference.engine import Engine
from services.errors import ApiError
from services.openapi import answers
from services.runtime import Runtime
from services.served import ModelInfo

router = APIRouter(tags=["models"])
MODEL_HEADERS = ("x-model-version", "x-model-digest", "x-model-lineage")


class ModelCard(TypedDict):
    """A model, with what a client must know to speak with it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    version: str
    digest: str
    voices: list[str]
    sample_rate_hz: int
    question_s: list[float]
    records: bool
    lineage: dict[str, Any]


class ModelList(TypedDict):
    """All models that are served."""

    object: Literal["list"]
    data: list[ModelCard]


def model_card(runtime: Runtime) -> ModelCard:
    """The model that new conversations get; its card holds no time, so `created` is 0."""
    engine, model = runtime.engine, runtime.model
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "moss-speech",
        "version": model.version,
        "digest": model.digest,
        "voices": list(engine.voices),
        "sample_rate_hz": engine.sample_rate_hz,
        "question_s": [engine.limits.min_s, engine.limits.max_s],
        "records": runtime.recorder is not None,
        "lineage": engine.lineage,
    }


def model_headers(model: ModelInfo, engine: Engine) -> dict[str, str]:
    """Headers that name the version of an answer, and the data and models that it comes from."""
    parents = engine.lineage["parents"]
    lineage = ", ".join(f"{name}={digest}" for name, digest in parents.items())
    values = (f"{model.name}:{model.version}", model.digest, lineage)
    return dict(zip(MODEL_HEADERS, values, strict=True))


def check_model(name: str, runtime: Runtime) -> None:
    """A 404 for any model but the served one, by its name or `name:version`."""
    names = (runtime.model.name, f"{runtime.model.name}:{runtime.model.version}")
    if name not in names:
        reason = f"the model {name[:100]!r} does not exist here; it is {' or '.join(names)}"
        raise ApiError(404, reason, code="model_not_found", param="model")


@router.get("/v1/models", responses=answers(ModelList, "The one model that is served"))
async def list_models(http: Request, response: Response) -> ModelList:
    """The one model that is served."""
    runtime: Runtime = http.app.state.runtime
    await runtime.access.caller(http, "models")
    response.headers.update(model_headers(runtime.model, runtime.engine))
    return {"object": "list", "data": [model_card(runtime)]}


@router.get("/v1/models/{model}", responses=answers(ModelCard, "The model"))
async def retrieve_model(model: str, http: Request, response: Response) -> ModelCard:
    """The model by its id, or by id and version: `moss-speech:3`."""
    runtime: Runtime = http.app.state.runtime
    await runtime.access.caller(http, "models")
    check_model(model, runtime)
    response.headers.update(model_headers(runtime.model, runtime.engine))
    return model_card(runtime)
