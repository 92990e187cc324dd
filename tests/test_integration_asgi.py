"""The ASGI middleware and the lifespan, driven as a server would."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asgi_tools import TRACE_ID, TRACEPARENT, Connection, Message, Receive, Send, answering, http_scope, respond, run
from fapilog import AsyncLoggingContainer, ContainerStateError, NoCurrentLogger, current_logger
from fapilog.integrations.asgi import FapilogMiddleware, lifespan
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio


async def test_a_request_is_one_event() -> None:
    logged = await run(answering, http_scope("/orders/7", {"x-request-id": "r-1"}))
    event = logged.request
    assert logged.events == [event]
    assert (event.message, event.level) == ("request", "INFO")
    fields = dict(event.fields)
    assert fields.pop("response_duration") >= 0
    assert fields == {
        "method": "GET", "path": "/orders/7", "status": 200, "client": "192.0.2.7", "request_size": 0,
        "response_size": 4,
    }  # fmt: skip
    span = event.context["span"]
    assert set(span) == {"start", "duration", "outcome"} and span["outcome"] == "ok" and span["duration"] >= 0
    assert set(event.context) == {"request_id", "trace_id", "span_id", "span"}
    assert event.context["request_id"] == "r-1"
    assert event.correlation_id == "r-1"
    assert event.exception is None


async def test_the_query_is_left_out() -> None:
    logged = await run(answering, http_scope("/login", query_string=b"token=hush"))
    assert "hush" not in repr(logged.request.fields)


async def test_events_of_the_request_have_its_id_in_child_tasks_too() -> None:
    async def child() -> None:
        await current_logger().info("in a child")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await current_logger().info("in the request")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
        await respond(send)

    logged = await run(app, http_scope(headers={"x-request-id": "r-1"}))
    assert [(event.message, event.context["request_id"], event.correlation_id) for event in logged.events] == [
        ("in the request", "r-1", "r-1"),
        ("in a child", "r-1", "r-1"),
        ("request", "r-1", "r-1"),
    ]


async def test_requests_side_by_side_keep_their_ids_apart() -> None:
    both_inside = anyio.Event()
    inside: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        inside.append(scope["path"])
        if len(inside) == 2:
            both_inside.set()
        await both_inside.wait()
        await current_logger().info("inside", path=scope["path"])
        await respond(send)

    sink = MemorySink()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        middleware = FapilogMiddleware(app, container)
        async with anyio.create_task_group() as tasks:
            for path in ("/a", "/b"):
                connection = Connection()
                scope = http_scope(path, {"x-request-id": f"id{path}"})
                tasks.start_soon(middleware, scope, connection.receive, connection.send)
    told = {(event.fields["path"], event.context["request_id"]) for event in sink.events}
    assert len(sink.events) == 4
    assert told == {("/a", "id/a"), ("/b", "id/b")}


async def test_a_request_need_not_be_a_child_of_the_task_that_opened_the_container() -> None:
    sink = MemorySink()
    container = AsyncLoggingContainer(sinks=[sink])
    connection = Connection()
    opened, stop = anyio.Event(), anyio.Event()

    async def hold() -> None:
        async with container:
            opened.set()
            await stop.wait()

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        assert current_logger().container is container
        await respond(send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await opened.wait()
        with pytest.raises(NoCurrentLogger):
            current_logger()
        await FapilogMiddleware(app, container)(http_scope(), connection.receive, connection.send)
        with pytest.raises(NoCurrentLogger):
            current_logger()
        stop.set()
    assert sink.messages == ("request",)


# -- ids


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "r-1"}, "r-1"),
        ({"x-request-id": "  padded  "}, "padded"),
        ({"x-request-id": "two words"}, "two words"),
        ({"x-request-id": "x" * 128}, "x" * 128),
        ({"traceparent": TRACEPARENT}, TRACE_ID),
        ({"traceparent": f"cc-{TRACE_ID}-00f067aa0ba902b7-01-later"}, TRACE_ID),
        ({"x-request-id": "r-1", "traceparent": TRACEPARENT}, "r-1"),
        ({"x-request-id": "x" * 129, "traceparent": TRACEPARENT}, TRACE_ID),
        ({"x-request-id": "", "traceparent": TRACEPARENT}, TRACE_ID),
    ],
)
async def test_a_valid_id_is_taken_and_sent_back(headers: dict[str, str], expected: str) -> None:
    logged = await run(answering, http_scope(headers=headers))
    assert logged.request.context["request_id"] == expected
    assert logged.request.correlation_id == expected
    assert logged.connection.header(b"x-request-id") == [expected.encode()]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-request-id": "   "},
        {"x-request-id": "x" * 129},
        {"x-request-id": "forged\r\nset-cookie: a=b"},
        {"x-request-id": "tab\there"},
        {"x-request-id": "caf\xe9"},
        {"x-request-id": "\x7f"},
        {"traceparent": "nonsense"},
        {"traceparent": TRACEPARENT + "-more"},
        {"traceparent": TRACEPARENT.upper()},
        {"traceparent": f"ff-{TRACE_ID}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE_ID}-{'0' * 16}-01"},
    ],
)
async def test_an_invalid_id_is_replaced(headers: dict[str, str]) -> None:
    logged = await run(answering, http_scope(headers=headers))
    made = logged.request.context["request_id"]
    assert len(made) == 32 and set(made) <= set("0123456789abcdef")
    assert made != TRACE_ID
    assert logged.connection.header(b"x-request-id") == [made.encode()]


async def test_an_id_that_the_application_sends_itself_stays() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send, headers=((b"X-Request-ID", b"mine"),))

    logged = await run(app)
    assert logged.connection.sent[0]["headers"] == [(b"X-Request-ID", b"mine")]


async def test_the_applications_message_is_not_changed() -> None:
    start = {"type": "http.response.start", "status": 204}

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    logged = await run(app)
    assert start == {"type": "http.response.start", "status": 204}
    assert len(logged.connection.header(b"x-request-id")) == 1
    assert logged.request.fields["status"] == 204


# -- outcomes


@pytest.mark.parametrize(
    ("status", "level", "outcome"),
    [(200, "INFO", "ok"), (302, "INFO", "ok"), (404, "INFO", "ok"), (500, "ERROR", "error"), (503, "ERROR", "error")],
)
async def test_the_status_decides(status: int, level: str, outcome: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send, status)

    event = (await run(app)).request
    assert (event.fields["status"], event.level, event.context["span"]["outcome"]) == (status, level, outcome)


async def test_an_application_that_sends_nothing_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        pass

    event = (await run(app)).request
    assert (event.fields["status"], event.level, event.context["span"]["outcome"]) == (500, "ERROR", "error")


async def test_an_exception_is_told_and_passes_unchanged() -> None:
    raised = ValueError("broken")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise raised

    sink = MemorySink()
    connection = Connection()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with pytest.raises(ValueError, match="broken") as caught:
            await FapilogMiddleware(app, container)(http_scope(), connection.receive, connection.send)
    assert caught.value is raised
    (event,) = sink.events
    assert (event.level, event.fields["status"], event.context["span"]["outcome"]) == ("ERROR", 500, "error")
    assert event.exception is not None
    assert (event.exception["type"], event.exception["message"]) == ("ValueError", "broken")
    assert event.context["request_id"]


async def test_the_status_that_was_sent_stays_when_the_application_fails_later() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    event = (await run(app, raises=ValueError)).request
    assert (event.level, event.fields["status"], event.context["span"]["outcome"]) == ("ERROR", 200, "error")


async def test_a_group_is_told_with_its_leaves() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise ExceptionGroup("both", [KeyError("first"), ExceptionGroup("inner", [OSError("second")])])

    event = (await run(app, raises=ExceptionGroup)).request
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")
    assert event.exception is not None
    first, inner = event.exception["group"]
    assert (first["type"], inner["group"][0]["type"]) == ("KeyError", "OSError")


async def test_a_cancelled_request_is_told_and_the_cancellation_passes() -> None:
    after = False

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["test"].cancel()
        await anyio.sleep_forever()

    sink = MemorySink()
    connection = Connection()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with anyio.CancelScope() as cancel_scope:
            scope = http_scope(test=cancel_scope)
            await FapilogMiddleware(app, container)(scope, connection.receive, connection.send)
            after = True
    assert cancel_scope.cancelled_caught
    assert not after
    (event,) = sink.events
    assert (event.level, event.context["span"]["outcome"]) == ("INFO", "cancelled")
    assert "status" not in event.fields
    assert event.exception is None


async def test_a_cancelled_request_does_not_wait_for_room() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        log = current_logger()
        for _ in range(20):
            log.nowait.info("fills the queue")
        scope["test"].cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as cancel_scope:
        sink = MemorySink()
        connection = Connection()
        settings = {"queue_max_size": 2, "block_timeout": 5.0}
        async with AsyncLoggingContainer(settings, sinks=[sink]) as container:
            with anyio.CancelScope() as inner:
                scope = http_scope(test=inner)
                await FapilogMiddleware(app, container)(scope, connection.receive, connection.send)
            assert inner.cancelled_caught
    assert not cancel_scope.cancelled_caught
    assert container.report is not None and container.report.balanced
    assert container.report.submitted == 21


async def test_an_error_beside_a_cancellation_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        cancelled = anyio.get_cancelled_exc_class()
        try:
            with anyio.CancelScope() as inner:
                inner.cancel()
                try:
                    await anyio.sleep_forever()
                except cancelled as cancellation:
                    kept = cancellation
                    raise
        finally:
            raise BaseExceptionGroup("both", [kept, ValueError("real")])

    event = (await run(app, raises=BaseExceptionGroup)).request
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")
    assert event.exception is not None


async def test_a_client_that_leaves_is_an_outcome() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    connection = Connection([{"type": "http.request"}, {"type": "http.disconnect"}])
    event = (await run(app, connection=connection)).request
    assert (event.level, event.context["span"]["outcome"], event.fields["status"]) == ("INFO", "cancelled", 200)


async def test_a_client_that_leaves_after_the_response_was_complete_changes_nothing() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send)
        while (await receive())["type"] != "http.disconnect":
            pass

    connection = Connection([{"type": "http.request"}, {"type": "http.disconnect"}])
    assert (await run(app, connection=connection)).request.context["span"]["outcome"] == "ok"


async def test_a_server_that_refuses_to_send_says_that_the_client_left() -> None:
    connection = Connection(send_error=BrokenPipeError("gone"))
    event = (await run(answering, connection=connection, raises=BrokenPipeError)).request
    assert (event.level, event.context["span"]["outcome"]) == ("INFO", "cancelled")
    assert event.exception is None


async def test_an_error_of_the_application_after_the_client_left_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        raise ValueError("in the clean-up")

    event = (await run(app, connection=Connection([{"type": "http.disconnect"}]), raises=ValueError)).request
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")


async def test_an_operating_system_error_of_the_application_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise FileNotFoundError

    event = (await run(app, raises=FileNotFoundError)).request
    assert (event.level, event.context["span"]["outcome"]) == ("ERROR", "error")


async def test_a_full_queue_does_not_fail_the_request() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send)
        while current_logger().nowait.info("fills the queue"):
            pass

    logged = await run(app, queue_max_size=2, overflow_strategy="raise")
    assert logged.connection.sent[-1]["type"] == "http.response.body"
    assert logged.container.report is not None
    assert logged.container.report.rejected == {"queue_full": 2}


async def test_the_level_of_the_logger_holds() -> None:
    assert (await run(answering, levels={"asgi": "WARNING"})).events == []


# -- where the container comes from


@pytest.mark.parametrize("kind", ["lifespan", "something new"])
async def test_other_connections_pass_through(kind: str) -> None:
    passed: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.extend([scope, receive, send])

    scope = {"type": kind}
    connection = Connection()
    receive, send = connection.receive, connection.send
    await FapilogMiddleware(app)(scope, receive, send)
    assert passed[0] is scope and passed[1] is receive and passed[2] is send


class State:
    pass


class Application:
    def __init__(self) -> None:
        self.state = State()


async def test_the_container_is_found_in_the_lifespans_state() -> None:
    sink = MemorySink()
    connection = Connection()
    async with lifespan(sinks=[sink])(Application()) as state:
        await FapilogMiddleware(answering)(http_scope(state=dict(state)), connection.receive, connection.send)
    assert sink.messages == ("request",)


async def test_the_container_is_found_on_the_application() -> None:
    sink = MemorySink()
    connection = Connection()
    app = Application()
    async with lifespan(sinks=[sink])(app):
        await FapilogMiddleware(answering)(http_scope(app=app, state={}), connection.receive, connection.send)
    assert sink.messages == ("request",)


@pytest.mark.parametrize("more", [{}, {"state": {}}, {"state": {"fapilog": "no container"}}, {"app": Application()}])
async def test_without_a_container_the_error_says_what_to_do(more: dict[str, Any]) -> None:
    connection = Connection()
    with pytest.raises(ContainerStateError, match=r"lifespan\(\)"):
        await FapilogMiddleware(answering)(http_scope(**more), connection.receive, connection.send)
    assert connection.sent == []


async def test_each_start_opens_a_container_and_drains_it() -> None:
    app = Application()
    opened = lifespan({"source": "shop", "sinks": ["null"]})
    reports = []
    for _ in range(2):
        async with opened(app) as state:
            container = state["fapilog"]
            assert container.settings.source == "shop"
            assert container.report is None
            await container.logger().info("running")
        reports.append(app.state.fapilog.report)  # type: ignore[attr-defined]
    assert [report.submitted for report in reports] == [1, 1]
    assert all(report.complete for report in reports)
    assert reports[0].container_id != reports[1].container_id


async def test_what_ends_the_lifespan_passes_unchanged() -> None:
    raised = RuntimeError("the server failed")
    with pytest.raises(RuntimeError) as caught:
        async with lifespan({"sinks": ["null"]})(object()):
            raise raised
    assert caught.value is raised


# -- Starlette


async def starlette_run(connection: Connection, path: str, endpoint: Any, *, inside: bool) -> tuple[MemorySink, Any]:
    """Run one request through Starlette, its lifespan included, as a server does."""
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    sink = MemorySink()
    starlette = Starlette(
        routes=[Route("/item", endpoint)],
        middleware=[Middleware(FapilogMiddleware)] if inside else [],
        lifespan=lifespan(sinks=[sink]),
    )
    app: Any = starlette if inside else FapilogMiddleware(starlette)
    send_event, receive_event = anyio.create_memory_object_stream[Message](2)
    started = anyio.Event()
    state: dict[str, Any] = {}

    async def send(message: Message) -> None:
        assert message["type"] in ("lifespan.startup.complete", "lifespan.shutdown.complete")
        started.set()

    raised = None
    with send_event, receive_event:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "lifespan", "state": state}, receive_event.receive, send)
            await send_event.send({"type": "lifespan.startup"})
            await started.wait()
            try:
                await app(
                    http_scope(path, root_path="", state=state.copy(), asgi={"spec_version": "2.1"}),
                    connection.receive,
                    connection.send,
                )
            except Exception as error:
                raised = error
            await send_event.send({"type": "lifespan.shutdown"})
    assert starlette.state.fapilog.report.complete
    return sink, raised


@pytest.mark.parametrize("inside", [False, True], ids=["around", "inside"])
async def test_starlette_routes(inside: bool) -> None:
    async def endpoint(request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        await current_logger().info("found", container=request.state.fapilog.container_id)
        return PlainTextResponse("item")

    connection = Connection()
    sink, raised = await starlette_run(connection, "/item", endpoint, inside=inside)
    assert raised is None
    found, request = sink.events
    assert found.fields["container"] == found.container_id
    assert found.context["request_id"] == request.context["request_id"]
    assert connection.header(b"x-request-id") == [request.context["request_id"].encode()]
    assert request.fields["status"] == 200


async def test_starlette_finds_nothing() -> None:
    connection = Connection()
    sink, raised = await starlette_run(connection, "/elsewhere", None.__init__, inside=False)
    assert raised is None
    assert [(event.level, event.fields["status"]) for event in sink.events] == [("INFO", 404)]


@pytest.mark.parametrize("inside", [False, True], ids=["around", "inside"])
async def test_starlette_exceptions(inside: bool) -> None:
    async def endpoint(request: Any) -> Any:
        raise ValueError("broken")

    connection = Connection()
    sink, raised = await starlette_run(connection, "/item", endpoint, inside=inside)
    assert isinstance(raised, ValueError)
    (event,) = sink.events
    assert (event.level, event.fields["status"], event.context["span"]["outcome"]) == ("ERROR", 500, "error")
    assert event.exception is not None and event.exception["message"] == "broken"
    # Inside, the error page comes from around the middleware.
    assert len(connection.header(b"x-request-id")) == (0 if inside else 1)


async def test_starlettes_own_error_for_a_client_that_left_is_no_error() -> None:
    async def endpoint(request: Any) -> Any:
        await request.body()

    connection = Connection([{"type": "http.disconnect"}])
    sink, raised = await starlette_run(connection, "/item", endpoint, inside=False)
    assert type(raised).__name__ == "ClientDisconnect"
    (event,) = sink.events
    assert (event.level, event.context["span"]["outcome"]) == ("INFO", "cancelled")


async def test_a_starlette_stream_that_the_client_leaves_is_cancelled() -> None:
    async def endpoint(request: Any) -> Any:
        from starlette.responses import StreamingResponse

        return StreamingResponse(lines())

    async def lines() -> Any:
        try:
            yield "first"
            connection.incoming.append({"type": "http.disconnect"})
            woken.set()
            await anyio.sleep_forever()
        finally:
            assert await current_logger().info("stream ended")

    woken = anyio.Event()

    class Leaving(Connection):
        async def receive(self) -> Message:
            await woken.wait()
            return await super().receive()

    connection = Leaving([])
    sink, raised = await starlette_run(connection, "/item", endpoint, inside=False)
    assert raised is None
    assert sink.messages == ("stream ended", "request")
    assert (sink.events[1].context["span"]["outcome"], sink.events[1].fields["status"]) == ("cancelled", 200)
