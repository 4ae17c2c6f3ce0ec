"""The web application that scores samples for other programs; `docs/serving.md` shows its use.

    GET  /health           no token needed: which rewards, whether they are ready, counts
    GET  /rewards          the cards of all rewards
    GET  /rewards/{name}   the card of one
    POST /rewards/{name}   rewards for a batch, see `rewards.remote.wire`

An error is `{"error": line}`: 401 without the token, 404 unknown reward, 413 too large, 415 another
content type, 422 malformed, 429 too much waits, 502 the reward itself failed.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from rewards.cached import fingerprint
from rewards.errors import RewardError, did_you_mean
from rewards.remote import card
from rewards.remote.batcher import Batcher, Full
from rewards.remote.wire import encode_answer
from rewards.scoring import Reward, Scored

try:
    import python_multipart  # noqa: F401  (FastAPI asks for it only when a form arrives)
    import uvicorn  # noqa: F401  (so that one message names all that is missing)
    from fastapi import APIRouter, Depends, FastAPI, Request, Response
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    from rewards.remote.intake import Budget, Limits, Rejected, decode, receive
except ImportError as error:
    raise RewardError(
        f"serving rewards needs a package that is not installed ({error.name}): "
        "pip install 'ddpo[serve]'"
    ) from error

MAX_SAMPLES = 256
MAX_BYTES = 256 * 2**20
MAX_BATCH = 64
MAX_WAITING = 1024


def create_app(
    rewards: Sequence[Reward],
    *,
    token: str | None,
    max_samples: int = MAX_SAMPLES,
    max_bytes: int = MAX_BYTES,
    max_batch: int = MAX_BATCH,
    max_waiting: int = MAX_WAITING,
    device: str = "cpu",
) -> FastAPI:
    """The application that serves `rewards`, each under its name.

    Args:
        rewards: as made by `rewards.make`.
        token: clients send it as `Authorization: Bearer <token>`; None serves anyone who connects.
        max_samples: of one request.
        max_bytes: of the body of one request; its images may hold a third as many pixels.
        max_batch: small requests are merged into batches of at most this many samples.
        max_waiting: requests for one reward; the next ones are told to come again.
        device: where images are scored, such as "cuda".

    Raises:
        RewardError: two rewards have one name, or the token cannot be sent in a header.
    """
    _check(rewards, token)
    limits = Limits(max_samples, max_bytes)
    batchers = {
        reward.name: Batcher(reward, max_batch=max_batch, max_waiting=max_waiting, device=device)
        for reward in rewards
    }

    @asynccontextmanager
    async def workers(_: FastAPI) -> AsyncIterator[None]:
        for batcher in batchers.values():
            batcher.start()
        yield
        for batcher in batchers.values():
            batcher.stop()

    app = FastAPI(lifespan=workers, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_public(batchers))
    app.include_router(_private(batchers, limits, token))
    app.add_exception_handler(Rejected, _tell_rejected)
    app.add_exception_handler(HTTPException, _tell_unknown)
    app.add_exception_handler(Exception, _tell_nothing)
    return app


def _public(batchers: dict[str, Batcher]) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> JSONResponse:
        states = {
            name: {"ready": batcher.ready, "waiting": batcher.waiting, **batcher.counts}
            for name, batcher in batchers.items()
        }
        ready = all(batcher.ready for batcher in batchers.values())
        return JSONResponse({"ready": ready, "rewards": states}, 200 if ready else 503)

    return router


def _private(batchers: dict[str, Batcher], limits: Limits, token: str | None) -> APIRouter:
    async def authorised(request: Request) -> None:
        given = request.headers.get("authorization", "")
        # Compared in constant time, so that nobody can find the token letter by letter.
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Rejected(401, "send the server's token as 'Authorization: Bearer <token>'")

    router = APIRouter(dependencies=[Depends(authorised)])
    budget = Budget(limits)

    @router.get("/rewards")
    async def cards() -> JSONResponse:
        return JSONResponse([_card(batcher.reward, limits) for batcher in batchers.values()])

    @router.get("/rewards/{name}")
    async def one_card(name: str) -> JSONResponse:
        return JSONResponse(_card(_find(batchers, name).reward, limits))

    @router.post("/rewards/{name}")
    async def score(name: str, request: Request) -> Response:
        batcher = _find(batchers, name)
        with budget.hold(request):
            form, files = await receive(request, limits)
            batch = await run_in_threadpool(decode, form, files, batcher.reward, limits)
            try:
                scored = await _unless_gone(request, batcher.submit(batch))
            except Full as error:
                line = f"{batcher.max_waiting} requests wait for reward '{name}'"
                raise Rejected(429, line, wait=1) from error
            except RewardError as error:
                raise Rejected(502, str(error)) from error
        # Nobody reads the answer to a client that has gone.
        return Response(encode_answer(scored) if scored else b"", media_type="application/json")

    return router


async def _unless_gone(request: Request, future: "Future[Scored]") -> Scored | None:
    """The result; None, and the work is given up, when the client has gone before."""
    scored = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(request.receive())  # the body has been read: nothing else comes
    try:
        await asyncio.wait({scored, gone}, return_when=asyncio.FIRST_COMPLETED)
        return scored.result() if scored.done() else None
    finally:
        gone.cancel()
        scored.cancel()


def _check(rewards: Sequence[Reward], token: str | None) -> None:
    names = [reward.name for reward in rewards]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise RewardError(f"reward '{repeated.pop()}' is served twice: give one of them a label")
    if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
        raise RewardError("the token of the server is empty, or not printable ASCII")


def _find(batchers: dict[str, Batcher], name: str) -> Batcher:
    if name not in batchers:
        hint = did_you_mean(name, batchers) or f". Served: {', '.join(batchers)}"
        raise Rejected(404, f"no reward '{name}' is served here{hint}")
    return batchers[name]


def _card(reward: Reward, limits: Limits) -> dict[str, Any]:
    return card.encode(reward.name, reward.definition, vars(limits), fingerprint(reward).hex())


async def _tell_rejected(_: Request, rejected: Any) -> JSONResponse:
    headers = {} if rejected.wait is None else {"Retry-After": str(rejected.wait)}
    if rejected.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": rejected.line}, rejected.status, headers)


async def _tell_unknown(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _tell_nothing(_: Request, error: Exception) -> JSONResponse:
    """A fault of the server: its log has the traceback, which is nobody else's business."""
    return JSONResponse({"error": "the server failed; its log says how"}, 500)
