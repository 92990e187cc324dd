"""What the middleware tells of requests when it is asked to, and what it keeps to itself."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import anyio
import orjson
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from asgi_tools import TRACE_ID, TRACEPARENT, Connection, Receive, Send, answering, http_scope, respond, run
from fapilog import AsyncLoggingContainer, current_logger
from fapilog.integrations._bodies import Body
from fapilog.integrations._secret_names import _OF_REQUESTS, MASK, Masking, secret_names
from fapilog.integrations.asgi import FapilogMiddleware, request_span
from fapilog.redactors._key_values import is_secret_name as names_a_secret
from fapilog.shown import is_secret_name as contains_a_secret
from fapilog.sinks.memory import MemorySink

pytestmark = pytest.mark.anyio


def request(*bodies: bytes) -> Connection:
    """Return a connection whose client sends a body in these parts."""
    return Connection([{"type": "http.request", "body": body, "more_body": True} for body in bodies]
                      + [{"type": "http.request", "body": b"", "more_body": False}])  # fmt: skip


def echoing(content_type: str = "application/json", **headers: str) -> Any:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["more_body"]
        told = {"content-type": content_type, **headers}
        start = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    return app


async def sleeping(scope: Any, receive: Receive, send: Send) -> None:
    await anyio.sleep_forever()


# -- spans


async def test_the_span_is_a_child_of_the_callers() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await current_logger().info("inside")
        await respond(send)

    logged = await run(app, http_scope(headers={"traceparent": TRACEPARENT, "x-request-id": "r-1"}))
    inside, event = logged.events
    assert event.correlation_id == "r-1"
    assert event.context["trace_id"] == inside.context["trace_id"] == TRACE_ID
    assert event.context["span_id"] == inside.context["span_id"]
    assert event.context["span"]["parent_id"] == "00f067aa0ba902b7"


async def test_an_id_that_is_made_is_the_traces_too() -> None:
    event = (await run(answering)).request
    assert event.correlation_id == event.context["trace_id"]
    assert "parent_id" not in event.context["span"]


async def test_a_deadline_is_told_from_a_cancellation() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()

    assert (await run(app, raises=TimeoutError)).request.context["span"]["outcome"] == "error"
    sink = MemorySink()
    connection = Connection()
    async with AsyncLoggingContainer(sinks=[sink]) as container:
        with anyio.move_on_after(0.01):
            await FapilogMiddleware(sleeping, container)(http_scope(), connection.receive, connection.send)
    (event,) = sink.events
    assert (event.level, event.context["span"]["outcome"]) == ("INFO", "deadline")
    assert "status" not in event.fields


async def test_the_applications_fields_and_wishes_reach_the_span() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        span = request_span(scope)
        assert span is not None
        span.set(user="u-1")
        await respond(send)

    assert (await run(app)).request.fields["user"] == "u-1"


@pytest.mark.parametrize(("status", "messages"), [(200, []), (500, ["inside", "request"])])
async def test_successes_are_sampled_and_failures_told_with_what_led_to_them(status: int, messages: list[str]) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await current_logger().info("inside")
        await respond(send, status)

    logged = await run(app, options={"sample": 0.0})
    assert [event.message for event in logged.events] == messages


async def test_what_is_buffered_is_told_if_the_request_is_slow() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await current_logger().debug("detail")
        await respond(send)

    logged = await run(app, options={"buffer": "debug", "slow": 0.0})
    assert [event.message for event in logged.events] == ["detail", "request"]
    assert logged.request.level == "WARNING"


async def test_a_background_task_counts_to_the_span_but_not_to_the_response() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await respond(send)
        began = perf_counter()
        await checkpoint()
        spent.append(perf_counter() - began)

    spent: list[float] = []
    event = (await run(app)).request
    # The fields are rounded to microseconds.
    assert event.context["span"]["duration"] - event.fields["response_duration"] >= spent[0] - 1e-6


async def test_a_task_that_outlives_the_request_is_late() -> None:
    left = anyio.Event()

    async def later() -> None:
        await left.wait()
        await current_logger().info("later")

    async with anyio.create_task_group() as tasks:

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            tasks.start_soon(later)
            await respond(send)

        sink = MemorySink()
        connection = Connection()
        async with AsyncLoggingContainer(sinks=[sink]) as container:
            scope = http_scope(headers={"x-request-id": "r-1"})
            await FapilogMiddleware(app, container)(scope, connection.receive, connection.send)
            left.set()
            await anyio.wait_all_tasks_blocked()
    _, late = sink.events
    # A task group's task has the context of where it was started.
    assert (late.message, late.correlation_id) == ("later", "r-1")
    assert late.context["late"] is True


# -- which requests


@pytest.mark.parametrize(
    ("path", "skipped"),
    [("/health", True), ("/static/a/b.css", True), ("/healthy", False), ("/", False), ("/health\nx", False)],
)
async def test_a_path_that_is_skipped_has_no_event_but_an_id(path: str, skipped: bool) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await current_logger().info("inside")
        await respond(send)

    logged = await run(app, http_scope(path), options={"skip": ["/health", "/static/*"]})
    assert ([event.message for event in logged.events] == ["inside"]) == skipped
    assert logged.events[0].correlation_id
    assert logged.connection.header(b"x-request-id") == [logged.events[0].correlation_id.encode()]


async def test_two_middlewares_tell_once() -> None:
    inner = FapilogMiddleware(answering)
    logged = await run(inner, http_scope(headers={"x-request-id": "r-1"}))
    assert [event.message for event in logged.events] == ["request"]
    assert logged.connection.header(b"x-request-id") == [b"r-1"]


async def test_the_servers_scope_is_not_changed() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["path_template"] = "/orders/{number}"
        await respond(send)

    scope = http_scope()
    before = dict(scope)
    assert (await run(app, scope)).request.fields["route"] == "/orders/{number}"
    assert scope == before


# -- messages


async def test_sizes_are_what_came_and_went() -> None:
    event = (await run(echoing(), connection=request(b"12345", b"678"))).request
    assert (event.fields["request_size"], event.fields["response_size"]) == (8, 8)


async def test_a_response_that_is_not_completed_is_an_error() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})

    event = (await run(app)).request
    assert (event.level, event.fields["status"], event.fields["incomplete"]) == ("ERROR", 200, True)
    assert event.context["span"]["outcome"] == "error"


async def test_pushes_hints_and_what_is_yet_to_come_pass_uncounted() -> None:
    others: list[dict[str, Any]] = [
        {"type": "http.response.push", "path": "/style.css", "headers": []},
        {"type": "http.response.early_hint", "links": [b"</style.css>"]},
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.something_new"},
    ]

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for message in others:
            await send(message)
        await respond(send)
        await send({"type": "http.response.trailers", "headers": [(b"x", b"y")], "more_trailers": False})

    logged = await run(app)
    assert logged.connection.sent[:4] == others
    assert logged.request.fields["response_size"] == 4
    assert logged.request.context["span"]["outcome"] == "ok"


async def test_a_file_that_the_server_sends_completes_the_response() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1234")]})
        await send({"type": "http.response.pathsend", "path": "/tmp/x"})

    event = (await run(app)).request
    assert (event.fields["response_size"], event.context["span"]["outcome"]) == (1234, "ok")


async def test_headers_may_be_an_iterator() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": iter([(b"a", b"b")])})
        await send({"type": "http.response.body"})

    logged = await run(app)
    assert [name for name, _ in logged.connection.sent[0]["headers"]] == [b"a", b"x-request-id"]


async def test_a_last_chunk_that_meets_no_client_is_a_client_that_left() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        connection.send_error = BrokenPipeError()
        await send({"type": "http.response.body"})

    connection = Connection()
    event = (await run(app, connection=connection, raises=BrokenPipeError)).request
    assert event.context["span"]["outcome"] == "cancelled"
    assert event.context["span"]["cancellation"] == {"source": "client"}
    assert event.fields["incomplete"] is True


# -- headers and queries


async def test_nothing_is_told_unless_it_is_asked_for() -> None:
    scope = http_scope(headers={"user-agent": "curl"}, query_string=b"page=2")
    fields = (await run(echoing(), scope, request(b"{}"))).request.fields
    assert not {"query", "request_headers", "response_headers", "request_body", "response_body"} & set(fields)


async def test_secrets_of_headers_are_masked() -> None:
    headers = {
        "authorization": "Basic aHVzaDpodXNo", "cookie": "a=hush", "X-Api-Key": "hush", "x-mine": "hush",
        "user-agent": "curl", "referer": "https://x.example/?access_token=hush&page=2",
    }  # fmt: skip
    options = {"request_headers": ["*"], "response_headers": ["Content-Type", "set-cookie"], "redact": ["X-Mine"]}
    logged = await run(echoing(**{"set-cookie": "id=hush"}), http_scope(headers=headers), options=options)
    told = logged.request.fields
    assert told["request_headers"] == {
        "authorization": "***", "cookie": "***", "x-api-key": "***", "x-mine": "***", "user-agent": "curl",
        "referer": "https://x.example/?access_token=***&page=2",
    }  # fmt: skip
    assert told["response_headers"] == {"content-type": "application/json", "set-cookie": "***"}


async def test_headers_are_bounded() -> None:
    headers = {f"x-{number}": "y" * 5000 for number in range(200)}
    told = (await run(answering, http_scope(headers=headers), options={"request_headers": ["*"]})).request.fields
    assert len(told["request_headers"]) == 64
    assert set(told["request_headers"].values()) == {"<5000 bytes>"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (b"page=2&token=hush", "page=2&token=***"),
        (b"%74oken=hush", "%74oken=***"),
        (b"TOKEN=hush&token=&token", "TOKEN=***&token=***&token"),
        (b"user[password]=hush", "user[password]=***"),
        (b"q=a%20b;c", "q=a%20b;c"),
        (b"next=https%3A%2F%2Fx%2F%3Faccess_token%3Dhush", "next=***"),
        (b"q=Bearer%20eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl", "q=***"),
        (b"caf\xe9=1&=x&&", "caf\xe9=1&=x&&"),
        (b"mine=hush", "mine=***"),
        (b"", None),
    ],
)
async def test_secrets_of_the_query_are_masked(query: bytes, told: str | None) -> None:
    options = {"query": True, "redact": ["mine"]}
    event = (await run(answering, http_scope(query_string=query), options=options)).request
    assert event.fields.get("query") == told


async def test_a_long_query_is_cut_between_parameters() -> None:
    query = b"a=1&" * 1022 + b"long=" + b"x" * 100 + b"&password=hush"
    told = (await run(answering, http_scope(query_string=query), options={"query": True})).request.fields["query"]
    assert len(told) < 4100 and told.endswith("&a=1&...")


@given(st.sampled_from(["password", "api_key", "access_token", "Authorization"]), st.data())
def test_no_spelling_of_a_secret_parameter_gets_through(name: str, data: st.DataObject) -> None:
    spelled = "".join(
        f"%{ord(letter):02x}" if data.draw(st.booleans()) else data.draw(st.sampled_from([letter, letter.upper()]))
        for letter in name
    )
    assert Masking(secret_names()).query(f"a=1&{spelled}=hush&b=2") == f"a=1&{spelled}=***&b=2"


@given(st.text(alphabet="ab=&%[].+;?#\u00e9 ", max_size=60))
def test_a_query_without_secrets_is_told_as_it_is(query: str) -> None:
    assert Masking(secret_names()).query(query) == query


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "cookie", "cookie2", "set-cookie", "proxy-authorization", "x-forwarded-authorization",
        "www-authenticate", "x-csrf-token", "x-xsrf-token", "x-amz-security-token", "x-goog-iam-authorization-token",
        "x-vault-token", "x-auth", "cf-access-jwt-assertion", "sid", "otp", "pin", "id_token_hint", "x-amz-credential",
        "x-goog-credential", "jwt", "auth", *sorted(_OF_REQUESTS),
    ],
)  # fmt: skip
def test_the_names_that_hold_secrets_in_requests(name: str) -> None:
    is_secret = secret_names()
    assert is_secret(name) and is_secret(name.title())


@pytest.mark.parametrize("name", sorted(_OF_REQUESTS))
def test_no_name_of_requests_stands_on_the_lists_for_every_name_too(name: str) -> None:
    assert not contains_a_secret(name) and not names_a_secret(name)


# -- bodies


async def test_a_body_is_told_with_its_secrets_masked() -> None:
    body = orjson.dumps({"user": "u", "password": "hush", "inner": [{"api_key": "hush", "note": "token=hush"}], "n": 1})
    options = {"request_body": 1000, "response_body": 1000}
    scope = http_scope(headers={"content-type": "application/json; charset=utf-8"})
    app = echoing("application/problem+json")
    fields = (await run(app, scope, request(body[:7], body[7:]), options=options)).request.fields
    expected = {"user": "u", "password": "***", "inner": ({"api_key": "***", "note": "token=***"},), "n": 1}
    assert fields["request_body"] == fields["response_body"] == expected


@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        (b"name=x&password=hush", "application/x-www-form-urlencoded", "name=x&password=***"),
        (b"hello, password=hush", "text/plain", "hello, password=***"),
        (b'{"password": "hush"', "application/json", "<no JSON>"),
        (b'{"password": "' + b"hush" * 20, "application/json", "<more than 64 bytes>"),
        (b"password=" + b"hush" * 20, "text/plain", "<more than 64 bytes>"),
        (b"\x89PNG", "image/png", "<image/png>"),
        (b"hush", "", "<no content type>"),
        (b"\xff\xfe", "text/plain", "\ufffd\ufffd"),
        (b"", "text/plain", None),
        (b"[" * 60 + b"1" + b"]" * 60, "application/json", "<more than 64 bytes>"),
    ],
)
async def test_what_cannot_be_searched_for_secrets_is_not_told(body: bytes, content_type: str, told: Any) -> None:
    scope = http_scope(headers={"content-type": content_type})
    fields = (await run(echoing(), scope, request(body), options={"request_body": 64})).request.fields
    assert fields.get("request_body") == told


async def test_a_compressed_body_is_not_told() -> None:
    app = echoing("text/plain", **{"content-encoding": "gzip"})
    fields = (await run(app, connection=request(b"hush"), options={"response_body": 64})).request.fields
    assert fields["response_body"] == "<gzip>"


async def test_json_that_is_too_deep_is_masked_where_it_is() -> None:
    body = b"[" * 100 + b'"hush"' + b"]" * 100
    scope = http_scope(headers={"content-type": "application/json"})
    logged = await run(echoing(), scope, request(body), options={"request_body": 1000})
    assert "hush" not in repr(logged.request.fields)


# -- arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": "/health"}, "skip is '/health'; allowed: a list of texts"),
        ({"redact": [1]}, r"redact is \(1,\); allowed"),
        ({"request_body": 1 << 30}, "request_body is 1073741824; allowed: .* from 0 to 1048576 bytes"),
        ({"response_body": True}, "response_body is True"),
        ({"sample": 2}, "sample is 2; allowed: a number from 0 to 1"),
        ({"buffer": "loud"}, "loud"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FapilogMiddleware(answering, **options)


def test_a_container_and_settings_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="not both"):
        FapilogMiddleware(answering, AsyncLoggingContainer({"sinks": ["null"]}), settings={})


def test_no_more_of_a_body_is_kept_than_may_be_told() -> None:
    body = Body(10)
    for _ in range(100):
        body.add(b"x" * 1_000)
    assert len(body._content) == 10
    assert body.told([(b"content-type", b"text/plain")], Masking(secret_names())) == "<more than 10 bytes>"


def test_what_is_too_deep_in_a_body_is_masked() -> None:
    """It would be cut later on, but it is searched for secrets before."""
    body = Body(1_000)
    body.add(b"[" * 40 + b"1" + b"]" * 40)
    told = body.told([(b"content-type", b"application/json")], Masking(secret_names()))
    for _ in range(32):
        (told,) = told
    assert told == MASK
