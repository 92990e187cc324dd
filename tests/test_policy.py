"""Delivery and stage policies: their defaults, what they inherit, and how they are split off a table."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from fapilog.checks import Problems
from fapilog.errors import ConfigurationError
from fapilog.plugins import SinkPolicy, StagePolicy
from fapilog.plugins.policy import policy_keys, split_policy
from fapilog.settings import OverflowStrategy, Settings


def test_defaults() -> None:
    assert attrs.asdict(SinkPolicy()) == {
        "required": True,
        "write_timeout": 5.0,
        "attempts": 5,
        "backoff": 0.1,
        "backoff_max": 10.0,
        "breaker_failures": 5,
        "breaker_reset": 10.0,
        "queue_batches": 64,
        "overflow_strategy": None,
        "block_timeout": None,
        "batch_size": None,
        "batch_linger": 0.0,
        "fallback": None,
        "ordered": None,
    }
    assert attrs.asdict(StagePolicy()) == {"timeout": None, "isolate": False}


def test_a_sink_that_is_not_required_drops_the_newest_unless_told_otherwise() -> None:
    assert SinkPolicy(required=False).overflow_strategy is OverflowStrategy.DROP_NEWEST
    assert SinkPolicy(required=False, overflow_strategy="block").overflow_strategy is OverflowStrategy.BLOCK


@pytest.mark.parametrize(
    ("policy", "settings", "expected"),
    [
        ({}, {}, ("block", 1.0, 256)),
        ({}, {"block_timeout": 2, "batch_size": 7}, ("block", 2.0, 7)),
        ({"block_timeout": 3, "batch_size": 9}, {"block_timeout": 2}, ("block", 3.0, 9)),
        ({}, {"overflow_strategy": "drop_oldest"}, ("drop_oldest", None, 256)),
        ({"block_timeout": 3}, {"overflow_strategy": "drop_oldest"}, ("drop_oldest", None, 256)),
        ({"overflow_strategy": "block"}, {"overflow_strategy": "drop_oldest"}, ("block", 1.0, 256)),
        ({}, {"overflow_strategy": "raise"}, ("drop_newest", None, 256)),
        ({"overflow_strategy": "raise"}, {}, ("drop_newest", None, 256)),
        ({"required": False}, {}, ("drop_newest", None, 256)),
    ],
)
def test_what_a_sink_inherits(policy: Any, settings: Any, expected: tuple[str, float | None, int]) -> None:
    resolved = SinkPolicy(**policy).resolved(Settings(**settings))
    assert (resolved.overflow_strategy, resolved.block_timeout, resolved.batch_size) == expected


def test_ordered_comes_from_the_sink_unless_told() -> None:
    class Ordered:
        ordered = True

    class Odd:
        ordered = "yes"

    settings = Settings()
    assert SinkPolicy().resolved(settings).ordered is False
    assert SinkPolicy().resolved(settings, Ordered()).ordered is True
    assert SinkPolicy().resolved(settings, Odd()).ordered is False
    assert SinkPolicy(ordered=False).resolved(settings, Ordered()).ordered is False
    assert SinkPolicy(ordered=True).resolved(settings, object()).ordered is True


def test_a_stage_inherits_the_timeout() -> None:
    assert StagePolicy().resolved(Settings(plugin_timeout=3)).timeout == 3.0
    assert StagePolicy(timeout=2).resolved(Settings(plugin_timeout=3)).timeout == 2.0


def test_splitting_leaves_the_plugin_its_own_keys() -> None:
    table = {"path": "a.log", "attempts": 3, "overflow_strategy": "drop_oldest", "timeout": 1}
    policy, rest = split_policy(table, SinkPolicy, name="file")
    assert policy == SinkPolicy(attempts=3, overflow_strategy=OverflowStrategy.DROP_OLDEST)
    assert rest == {"path": "a.log", "timeout": 1}
    stage, rest = split_policy(table, StagePolicy, name="file")
    assert stage == StagePolicy(timeout=1.0)
    assert set(rest) == {"path", "attempts", "overflow_strategy"}


SINK_KEYS: dict[str, tuple[Any, str]] = {
    "required": ("yes", "got 'yes'; allowed: true or false"),
    "write_timeout": (0, "got 0; allowed: a number of seconds above 0 and up to 86400"),
    "attempts": (True, "got True; allowed: a whole number from 1 to 1_000_000; a truth value is no number"),
    "backoff": (-1, "got -1; allowed: a number of seconds from 0 to 86400"),
    "backoff_max": (float("inf"), "got inf; allowed: a number of seconds from 0 to 86400"),
    "breaker_failures": (0, "got 0; allowed: a whole number from 1 to 1_000_000"),
    "breaker_reset": (
        "1 M",
        (
            "got '1 M'; allowed: a number of seconds from 0 to 86400; "
            "write a number, or one with a unit, such as '250 ms', '5s' or '1h30m'"
        ),
    ),
    "queue_batches": (1.5, "got 1.5; allowed: a whole number from 1 to 100_000"),
    "overflow_strategy": ("drop", "got 'drop'; allowed: 'block', 'drop_newest', 'drop_oldest' or 'raise'"),
    "block_timeout": ([], "got []; allowed: a number of seconds from 0 to 86400"),
    "batch_size": (0, "got 0; allowed: a whole number from 1 to 1_000_000"),
    "batch_linger": (float("nan"), "got nan; allowed: a number of seconds from 0 to 3600"),
    "fallback": ("a b", "got 'a b'; allowed: a plugin's name of ASCII letters, digits, '_' and '-'"),
    "ordered": (1, "got 1; allowed: true or false"),
}


def test_every_key_has_a_wrong_value_here() -> None:
    assert set(SINK_KEYS) == set(policy_keys(SinkPolicy))


@pytest.mark.parametrize("key", SINK_KEYS)
def test_cf9_what_is_said_about_a_wrong_value(key: str) -> None:
    value, expected = SINK_KEYS[key]
    with pytest.raises(ConfigurationError) as caught:
        split_policy({key: value}, SinkPolicy, name="file")
    assert [str(problem) for problem in caught.value.problems] == [f"plugin_config.file.{key}: {expected}"]
    with pytest.raises(ConfigurationError) as caught:
        SinkPolicy(**{key: value})
    assert [str(problem) for problem in caught.value.problems] == [f"{key}: {expected}"]


def test_cf1_all_problems_of_a_table_are_collected() -> None:
    problems = Problems()
    wrong = {key: value for key, (value, _) in SINK_KEYS.items()}
    policy, rest = split_policy(wrong, SinkPolicy, name="file", problems=problems)
    assert policy == SinkPolicy()
    assert rest == {}
    assert [problem.path for problem in problems.items] == [f"plugin_config.file.{key}" for key in SINK_KEYS]


def test_cf3_contradictions_name_both_keys() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SinkPolicy(backoff=5, backoff_max=1, overflow_strategy="drop_oldest", block_timeout=1)
    backoff, block_timeout = map(str, caught.value.problems)
    assert backoff == "backoff: got 5.0; allowed: at most backoff_max, which is 1.0; lower backoff or raise backoff_max"
    assert block_timeout.startswith(
        "block_timeout: got 1.0; allowed: nothing, because overflow_strategy is 'drop_oldest'"
    )


@pytest.mark.parametrize(("key", "value"), [("timeout", 0), ("timeout", "1"), ("isolate", 1)])
def test_a_wrong_stage_policy_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"plugin_config.x.{key}: got "):
        split_policy({key: value}, StagePolicy, name="x")
    with pytest.raises(ConfigurationError, match=f"{key}: got "):
        StagePolicy(**{key: value})
