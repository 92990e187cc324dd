"""The route templates that frameworks leave behind, mounted applications among them."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_tools import Connection, http_scope, run

pytestmark = pytest.mark.anyio


async def route(app: Any, path: str, **more: Any) -> object:
    scope = http_scope(path, server=("x.example", 80), scheme="http", http_version="1.1", asgi={}, **more)
    fields = (await run(app, scope, Connection())).request.fields
    assert fields["path"] == path
    return fields.get("route")


def starlette() -> Any:
    applications = pytest.importorskip("starlette.applications")
    responses = pytest.importorskip("starlette.responses")
    routing = pytest.importorskip("starlette.routing")

    async def endpoint(request: Any) -> Any:
        return responses.PlainTextResponse("ok")

    inner = [
        routing.Route("/{number:int}", endpoint),
        routing.Mount("/deep/{x}", routes=[routing.Route("/", endpoint)]),
    ]
    mounted = applications.Starlette(routes=[routing.Route("/hello/{name}", endpoint)])
    return applications.Starlette(
        routes=[
            routing.Route("/plain", endpoint),
            routing.Mount("/shops/{shop}", routes=inner),
            routing.Mount("/app", mounted),
            routing.Mount("/raw", responses.PlainTextResponse("raw")),
        ]
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/plain", "/plain"),
        ("/shops/acme/7", "/shops/{shop}/{number}"),
        ("/shops/acme/deep/y/", "/shops/{shop}/deep/{x}/"),
        ("/app/hello/ann", "/app/hello/{name}"),
        ("/raw/anything", "/raw"),
        ("/nowhere", None),
    ],
)
async def test_starlette(path: str, expected: str | None) -> None:
    assert await route(starlette(), path) == expected


async def test_starlette_behind_a_prefix() -> None:
    assert await route(starlette(), "/api/shops/acme/7", root_path="/api") == "/shops/{shop}/{number}"


async def test_fastapi() -> None:
    fastapi = pytest.importorskip("fastapi")
    router = fastapi.APIRouter(prefix="/items")
    sub = fastapi.FastAPI(openapi_url=None)

    @router.get("/{number}")
    async def item(number: int) -> int:
        return number

    @sub.get("/hello/{name}")
    async def hello(name: str) -> str:
        return name

    app = fastapi.FastAPI()
    app.include_router(router, prefix="/v1")
    app.mount("/sub", sub)
    assert await route(app, "/v1/items/7") == "/v1/items/{number}"
    assert await route(app, "/sub/hello/ann") == "/sub/hello/{name}"


async def test_quart() -> None:
    quart = pytest.importorskip("quart")
    app = quart.Quart("app")

    @app.route("/items/<int:number>", methods=["POST", "GET"])
    async def item(number: int) -> str:
        return str(number)

    from fapilog.integrations._routes import route_of

    assert route_of(http_scope("/items/7"), "", app) == "/items/<int:number>"
    assert route_of(http_scope("/elsewhere"), "", app) is None
