"""Fingerprints of exceptions: the same for the same origin, whatever else differs."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import anyio
import pytest

import fapilog
from fapilog.sinks.memory import MemorySink
from fapilog.tracebacks import describe_exception

pytestmark = pytest.mark.anyio


def run(source: str, file: str = "/srv/app/shop/pay.py", name: str | None = "shop.pay", call: str = "work()") -> str:
    """Return the fingerprint of what *call* raises in a module with this source."""
    space: dict[str, Any] = {} if name is None else {"__name__": name}
    exec(compile(source, file, "exec"), space)
    return fingerprint_of(space, call)


def fingerprint_of(space: dict[str, Any], call: str) -> str:
    code = compile(call, "/usr/lib/python3/dist-packages/runner/run.py", "exec")
    with pytest.raises(Exception) as caught:
        exec(code, {**space, "__name__": "runner"})
    traceback = caught.value.__traceback__
    assert traceback is not None
    caught.value.__traceback__ = traceback.tb_next  # without this function
    found: str = describe_exception(caught.value)["fingerprint"]
    return found


def digest(*lines: str) -> str:
    return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


FAIL = "def fail(message='no'):\n    raise ValueError(message)\ndef work(*given):\n    fail(*given)\n"


def test_it_is_the_hash_that_is_documented() -> None:
    assert run(FAIL) == digest("builtins", "ValueError", "shop.pay:fail", "shop.pay:work")
    assert describe_exception(ValueError())["fingerprint"] == digest("builtins", "ValueError")


def test_lines_messages_and_places_do_not_matter() -> None:
    assert run(FAIL) == run(f"# moved\n\n\n{FAIL}", file="C:\\work\\shop\\pay.py", call="work('another')")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (FAIL.replace("ValueError", "KeyError"), "shop.pay"),
        (FAIL.replace("fail", "refuse"), "shop.pay"),
        (FAIL, "shop.buy"),
    ],
    ids=["type", "function", "module"],
)
def test_another_origin_has_another(source: str, name: str) -> None:
    assert run(source, name=name) != run(FAIL)


@pytest.mark.parametrize("name", [None, "__main__", ""])
def test_a_script_is_known_by_its_file(name: str | None) -> None:
    assert run(FAIL, "/a/b/main.py", name) == digest("builtins", "ValueError", "main.py:fail", "main.py:work")


def test_three_application_frames_count_and_the_depth_of_a_recursion_does_not() -> None:
    source = (
        "def down(n):\n    if n: down(n - 1)\n    else: raise ValueError(n)\n"
        "def a(n): down(n)\ndef b(n): a(n)\ndef c(n): b(n)\n"
    )
    expected = digest("builtins", "ValueError", "shop.pay:down", "shop.pay:a", "shop.pay:b")
    assert {run(source, call=call) for call in ("b(1)", "c(1)", "c(70)")} == {expected}


def test_a_recursion_through_a_library_counts_once() -> None:
    library: dict[str, Any] = {"__name__": "client.pool"}
    site = "/venv/lib/python3.12/site-packages/client/pool.py"
    exec(compile("def get(call, n): call(n)", site, "exec"), library)
    space: dict[str, Any] = {"__name__": "shop.pay", "get": library["get"]}
    exec(compile("def down(n):\n    if n: get(down, n - 1)\n    raise ValueError", "/srv/shop/pay.py", "exec"), space)
    assert fingerprint_of(space, "down(3)") == digest("builtins", "ValueError", "shop.pay:down")


def test_comprehensions_do_not_count() -> None:
    source = "def fail(_): raise ValueError\ndef work(): return [fail(_) for _ in 'a']\n"
    assert run(source) == digest("builtins", "ValueError", "shop.pay:fail", "shop.pay:work")


def test_frames_of_libraries_do_not_count_if_there_are_others() -> None:
    library: dict[str, Any] = {"__name__": "client.pool"}
    exec(compile("def get(call): return call()", "/venv/lib/python3.12/site-packages/client/pool.py", "exec"), library)
    space: dict[str, Any] = {"__name__": "shop.pay", "get": library["get"]}
    exec(compile("import json\ndef work(): get(lambda: json.loads('{'))", "/srv/shop/pay.py", "exec"), space)
    expected = digest("json.decoder", "JSONDecodeError", "shop.pay:work.<locals>.<lambda>", "shop.pay:work")
    assert fingerprint_of(space, "work()") == expected


def test_without_an_application_the_libraries_count_but_for_those_that_run_tasks() -> None:
    space: dict[str, Any] = {"__name__": "anyio._core"}
    site = "/venv/lib/python3.12/site-packages/anyio/_core.py"
    exec(compile("import json\ndef inner(): json.loads('{')", site, "exec"), space)
    assert fingerprint_of(space, "inner()") == digest("json.decoder", "JSONDecodeError", "runner:<module>")


def test_a_group_has_that_of_its_members_whatever_their_order_and_number() -> None:
    def group(*members: Exception) -> str:
        found: str = describe_exception(ExceptionGroup("g", members))["fingerprint"]
        return found

    one, other = ValueError(), KeyError()
    known = group(one, other)
    assert known == group(other, one) == group(KeyError(), ValueError(), KeyError())
    assert known != group(one)
    expected = sorted({digest("builtins", "ValueError"), digest("builtins", "KeyError")})
    assert known == digest("builtins", "ExceptionGroup", *expected)


async def fail_deep_inside() -> None:
    await anyio.lowlevel.checkpoint()
    raise LookupError("from a task")


async def test_it_is_the_same_on_every_backend() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail_deep_inside)
        except ExceptionGroup:
            await log.exception("failed")
    exception = memory.events[0].exception
    assert exception is not None
    (leaf,) = exception["group"]
    expected = digest("builtins", "LookupError", f"{__name__}:fail_deep_inside")
    assert leaf["fingerprint"] == expected
    assert exception["fingerprint"] == digest("builtins", "ExceptionGroup", expected)


async def test_one_that_is_referred_to_has_that_of_the_event_referred_to() -> None:
    memory = MemorySink()
    async with fapilog.container(sinks=[memory]) as log:

        async def inner() -> None:
            try:
                raise ValueError("no")
            except ValueError:
                await log.exception("inside")
                raise

        try:
            await inner()
        except ValueError:
            await log.exception("outside")
    inside, outside = (event.exception for event in memory.events)
    assert inside is not None
    assert outside is not None
    assert "frames" not in outside
    assert inside["fingerprint"] == outside["fingerprint"]


def test_another_process_has_the_same(tmp_path: Path) -> None:
    source = FAIL + (
        "from fapilog.tracebacks import describe_exception\n"
        "try:\n    work()\n"
        "except ValueError as error:\n    print(describe_exception(error)['fingerprint'])\n"
    )
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        script = folder / "main.py"
        script.write_text(source)
        environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(fapilog.__file__).parents[1])}
        found.append(subprocess.check_output([sys.executable, str(script)], env=environ, text=True).strip())
    assert set(found) == {digest("builtins", "ValueError", "main.py:fail", "main.py:work", "main.py:<module>")}


def test_odd_names_are_no_obstacle() -> None:
    kind = type("Odd", (Exception,), {"__module__": "m\udfff"})
    assert len(describe_exception(kind())["fingerprint"]) == 16
