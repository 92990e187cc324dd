"""Mutations of what bounds time and memory."""

from __future__ import annotations

from .mutation import (
    ASGI_ATTACKS,
    ASGI_TOLD,
    DELIVERY,
    FILTERS,
    LEAVING,
    LEDGER,
    OVERFLOW,
    PUMPS,
    RELOAD,
    SCOPES,
    STAGES,
    THREADS,
    Mutation,
    outside,
    without,
)

DEADLINES: tuple[Mutation, ...] = (
    without(
        "deadline of a wait for room",
        "waiting",
        "with anyio.move_on_after(timeout):",
        OVERFLOW,
        new="with anyio.move_on_after(None):",
    ),
    without(
        "deadline of a thread's wait for room",
        "door",
        "timeout=self._intake.admission.block_timeout",
        THREADS,
        new="timeout=-1",
    ),
    without(
        "deadline of the wait for a sink",
        "delivery",
        "with anyio.move_on_after(self._block_timeout):",
        DELIVERY,
        new="with anyio.move_on_after(None):",
    ),
    without(
        "deadline of a write",
        "delivery",
        'self.caller.call("write", batch, timeout=self._policy.write_timeout)',
        DELIVERY,
        new='self.caller.call("write", batch, timeout=3600)',
    ),
    without(
        "deadline of an asynchronous plugin's event",
        "steps",
        "with anyio.move_on_after(self.timeout):",
        STAGES,
        new="with anyio.move_on_after(3600):",
    ),
    without(
        "deadline of an asynchronous plugin that does not heed it", "stages", "step.timeout + 0.1", STAGES, new="3600"
    ),
    without(
        "deadline of the drain",
        "container",
        "anyio.move_on_after(timeout)",
        LEDGER,
        LEAVING,
        new="anyio.move_on_after(None)",
    )._replace(file="container.py"),
    without(
        "deadline of a flush",
        "pipeline",
        "        with anyio.move_on_after(timeout):\n",
        DELIVERY,
        LEDGER,
        new="        with anyio.move_on_after(None):\n",
    ),
    without(
        "closing of a call that does not heed its deadline",
        "host",
        "                job.drive.abandon()\n                await settle",
        DELIVERY,
        f"{LEAVING}::TestHostileSinks",
        new="                await settle",
    ),
    without(
        "longest wait that a sink may ask for",
        "delivery",
        "min(failure.retry_after, LONGEST_THROTTLE)",
        DELIVERY,
        new="failure.retry_after",
    ),
    without(
        "end of a coroutine that swallows cancellation",
        "trampoline",
        """        if control.abandoned or control.cancellations > _MOST_CANCELLATIONS:
            _close(coroutine)
            if error is not None:
                raise_interrupt(error)
            raise Abandoned


def _wait_asyncio""",
        STAGES,
        f"{LEAVING}::TestHostileSinks",
        new="""        if control.cancellations > 10**9:
            _close(coroutine)
            if error is not None:
                raise_interrupt(error)
            raise Abandoned


def _wait_asyncio""",
    ),
    without(
        "deadline of a pipeline that was replaced",
        "succession",
        "anyio.move_on_after(self._timeout)",
        RELOAD,
        new="anyio.move_on_after(None)",
    ),
    without(
        "end of a replaced pipeline when the container is left",
        "succession",
        'self._end_scope.cancel(reason="container closing")',
        RELOAD,
        LEAVING,
    ),
    outside("bound of what a scope holds", "scopes", "if len(self._held) > self.size:", SCOPES, new="if False:"),
    outside("budget of a scope in events", "scopes", "        self._events -= 1\n", SCOPES, new=""),
    outside(
        "budget of a scope in bytes",
        "scopes",
        "            self._bytes -= len(",
        SCOPES,
        new="            len(",
    ),
    outside(
        "budget of the scope around",
        "scopes",
        "        if self._outer is not None and not self._outer.allows(record):\n            return False\n",
        SCOPES,
        new="",
    ),
    outside(
        "bound of what the rate limit remembers",
        "filters/rate_limit",
        "if self._full_at[key] <= now or len(self._full_at) >= self._max_keys:",
        FILTERS,
        new="if self._full_at[key] <= now:",
    ),
    outside(
        "forgetting of full buckets",
        "filters/rate_limit",
        "if self._full_at[key] <= now or len(self._full_at) >= self._max_keys:",
        FILTERS,
        new="if len(self._full_at) >= self._max_keys:",
    ),
    outside(
        "bound of the keys that are told",
        "filters/rate_limit",
        "if len(self._removed) >= _TOLD_REASONS or type(key) is not str:",
        FILTERS,
        new="if type(key) is not str:",
    ),
    outside(
        "bound of the periods that are remembered",
        "filters/_periods",
        "if self._is_over(self._periods[key], now) or len(self._periods) >= self._most:",
        FILTERS,
        new="if self._is_over(self._periods[key], now):",
    ),
    outside(
        "bound of a value in a key",
        "filters/_keys",
        'return ("repr", shown) if len(shown) <= _LONGEST else _digest(shown)',
        FILTERS,
        new='return ("repr", shown)',
    ),
    outside(
        "bound of a body", "integrations/_bodies", "            chunk = chunk[:room]\n", ASGI_TOLD, ASGI_ATTACKS, new=""
    ),
    outside(
        "refusal of a body that was cut",
        "integrations/_bodies",
        "if not self.is_whole:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    outside(
        "depth of a body",
        "integrations/_bodies",
        "if isinstance(value, dict | list) and depth == 0:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    outside(
        "bound of a query",
        "integrations/_request_policy",
        "if len(query) > _LONGEST_QUERY:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    outside(
        "bound of a header",
        "integrations/_request_policy",
        "if len(raw_value) > _LONGEST_HEADER:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    outside(
        "bound of the number of headers",
        "integrations/_request_policy",
        "if len(told) >= _MOST_HEADERS:",
        ASGI_TOLD,
        ASGI_ATTACKS,
        new="if False:",
    ),
    outside(
        "bound of a request's id",
        "integrations/_correlation",
        "if not 0 < len(value) <= _LONGEST_ID or not value.isascii():",
        ASGI_ATTACKS,
        "tests/test_injection.py",
        new="if not 0 < len(value) or not value.isascii():",
    ),
    outside(
        "refusal of a request's id with a line break",
        "integrations/_correlation",
        'return found if found.isprintable() else ""',
        ASGI_ATTACKS,
        "tests/test_injection.py",
        new="return found",
    ),
    outside(
        "bound of the loggers of another library",
        "integrations/_feed",
        "if len(self._loggers) < _MOST_LOGGERS:",
        "tests/test_key_flood.py::test_se18_the_loggers_that_a_bridge_keeps_are_bounded",
        new="if True:",
    ),
    outside(
        "bound of the values of a label",
        "integrations/prometheus",
        "label = label[:200] if position < _MOST_VALUES - 1 else _OTHER",
        "tests/test_integration_prometheus.py",
        "tests/test_injection.py",
        new="label = label[:200]",
    ),
    outside("bound of what is tried on a text", "redactors/_attempts", "        self._left[0] -= 1\n", PUMPS, new=""),
)
