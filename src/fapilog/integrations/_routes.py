"""Routes: the template of the path that a framework has matched, as the framework leaves it behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ._asgi_types import Scope

_DEEPEST = 8
"""Applications mounted inside each other that are followed."""


def route_of(scope: Scope, root_path: str, app: Any) -> str | None:
    """Return the template of the route that answered, such as ``/orders/{number}``; None if the framework tells none.

    Parameters:
        scope: the one that the application was called with; frameworks write into it.
        root_path: the one that the server gave.
        app: the application that was called; Quart's is asked again, for it leaves nothing behind.
    """
    try:
        return _starlette(scope, root_path) or _litestar(scope) or _quart(scope, app)
    except Exception:
        return None  # other people's objects, after the response: the request has its event without a route


def _starlette(scope: Scope, root_path: str) -> str | None:
    """Starlette and FastAPI put the innermost route into the scope, and extend ``root_path`` where they mount."""
    route = scope.get("route")
    path = _included_in_fastapi(scope) or getattr(route, "path_format", None) or getattr(route, "path", None)
    if not isinstance(path, str):
        return None
    inner = scope.get("root_path", "")
    mounted = inner[len(root_path) :] if inner.startswith(root_path) else ""
    if not mounted:
        return path
    prefix = _mount_template(getattr(scope.get("router"), "routes", ()), mounted)
    # A mounted application that is no router leaves the mount itself as the route.
    return prefix if path == f"{getattr(route, 'path', '')}/{{path}}" else prefix + path


def _included_in_fastapi(scope: Scope) -> str | None:
    """FastAPI keeps the path of a route in an included router, with the router's prefix, apart from the route."""
    kept = scope.get("fastapi")
    if not isinstance(kept, Mapping):
        return None
    context: Any = cast("Mapping[str, Any]", kept).get("effective_route_context")
    return getattr(context, "path_format", None)


def _mount_template(routes: Any, mounted: str) -> str:
    """Return the templates of the mounts that lead to *mounted*, joined; what matches none of them stays as it is."""
    template = ""
    for _ in range(_DEEPEST):
        for route in routes:
            pattern = getattr(route, "path_regex", None)
            found = pattern.match(mounted + "/") if pattern is not None and hasattr(route, "app") else None
            if found is not None and "path" in found.groupdict() and not hasattr(route, "methods"):
                rest = found["path"].rstrip("/")
                template += route.path
                mounted, routes = (f"/{rest}" if rest else ""), getattr(route, "routes", ())
                break
        else:
            break
        if not mounted:
            break
    return template + mounted


def _litestar(scope: Scope) -> str | None:
    path = scope.get("path_template")
    return path if isinstance(path, str) and path else None


def _quart(scope: Scope, app: Any) -> str | None:
    rules = getattr(app, "url_map", None)
    if rules is None:
        return None
    server = scope.get("server") or ("localhost", None)
    adapter = rules.bind(str(server[0]), url_scheme="ws" if scope["type"] == "websocket" else "http")
    rule, _ = adapter.match(
        scope["path"], scope.get("method", "GET"), return_rule=True, websocket=scope["type"] == "websocket"
    )
    return str(rule.rule)
