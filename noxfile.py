"""The project's chores. `nox --list` says what there is; what follows `--` goes to the tool."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "typing"]

PROJECT = nox.project.load_toml("pyproject.toml")
CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
SUPPORTED = nox.project.python_versions(PROJECT)
# The Python that runs nox is there for certain, so that something is tested whatever else is missing.
PYTHONS = [*(python for python in SUPPORTED if python != CURRENT), CURRENT]
# There the package is built as on a machine without a C compiler, so that the tests run its Python alone.
WITHOUT_COMPILER = next(python for python in SUPPORTED if python != CURRENT)
MINIMUM_COVERAGE = 95
# A process for each processor; a module's tests stay together, for they share what it starts. conftest.py has the
# longest modules begin first, which would otherwise be those with the most tests.
PARALLEL = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group, so that a pip too old to know groups will do."""
    return list(nox.project.dependency_groups(PROJECT, name))


# Long, and about nothing that differs between Pythons: the current one runs them.
ON_ONE_PYTHON = [
    f"tests/test_{name}.py"
    for name in [
        "access_logs",
        "asgi_attacks",
        "asgi_full_queue",
        "asgi_lifespan",
        "asgi_routes",
        "asgi_servers",
        "asgi_told",
        "asgi_websockets",
        "bounds",
        "cli_config",
        "cli_output",
        "cli_plugins",
        "cli_redact",
        "configuration",
        "confirmed_schedules",
        "demo",
        "detectors",
        "docs",
        "enrichers",
        "example_plugin",
        "example_programs",
        "examples",
        "expressions",
        "filters",
        "filters_in_the_pipeline",
        "format_bounds",
        "health",
        "injection",
        "installed_plugins",
        "integration_asgi",
        "integration_opentelemetry",
        "integration_prometheus",
        "isolation",
        "key_flood",
        "loops_under_cleanup",
        "mutations",
        "odd_positions",
        "plugin_configuration",
        "policy",
        "processors",
        "prometheus_server",
        "public_names",
        "pump_strings",
        "redaction_canaries",
        "redactor",
        "registry",
        "routing",
        "schema",
        "settings",
        "sink_file_faults",
        "sink_file_processes",
        "sink_file_rotation",
        "sink_matrix",
        "sink_redactors",
        "sink_streams",
        "static_enrichment",
        "testing_conformance",
        "testing_faulty_file",
        "testing_pytest_others",
        "testing_pytest_plugin",
        "testing_sinks",
        "tree",
        "user_patterns",
        "versions",
    ]
]


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration: install the package with what the demonstration needs, and start it."""
    session.install(".[demo]")
    session.run("python", "-m", "fapilog", "demo", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on every Python that is there; on the current one, measure the coverage and demand enough.

    What follows ``--`` are pytest's arguments, for one run on each.
    """
    if session.python == WITHOUT_COMPILER:
        session.install(".[demo,uvloop]", *group("tests"), env={"CC": "false"})
        session.run("python", "-c", "import fapilog._accelerator", success_codes=[1], silent=True)
    else:
        session.install(".[demo,uvloop]", *group("tests"))
        if which("cc"):
            session.run("python", "-c", "import fapilog._accelerator")
    if session.posargs or session.python != CURRENT:
        chosen = session.posargs or [f"--ignore={path}" for path in ON_ONE_PYTHON]
        session.run("pytest", *PARALLEL, *chosen, env={"HYPOTHESIS_PROFILE": "quick"})
        return
    session.run("coverage", "erase")
    # Tracing multiplies the time of what computes much, so that is run without.
    traced = "not (torture or untraced or hypothesis)"
    session.run("coverage", "run", "-m", "pytest", *PARALLEL, "-m", traced, env={"HYPOTHESIS_PROFILE": "quick"})
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", f"--fail-under={MINIMUM_COVERAGE}")
    untraced = "(untraced or hypothesis) and not torture"
    session.run("pytest", *PARALLEL, "-m", untraced, env={"HYPOTHESIS_PROFILE": "ci"})


@nox.session
def torture(session: nox.Session) -> None:
    """Run what takes too long for CI: a million random schedules on each backend, each process fault 200 times, bounds.

    The schedules take about three hours on two processors, and the rest about half an hour. ``-- -k "not schedules"``
    leaves the schedules out; ``TORTURE_SCHEDULES=50000`` in the environment makes them fewer. A seed that fails is kept
    in ``tests/seeds/ledger.txt`` for everybody: commit it.
    """
    session.install(".[demo,uvloop]", *group("tests"))
    session.run("pytest", "-m", "torture", "--timeout", "0", "-o", "faulthandler_timeout=0", *session.posargs)


@nox.session
def mutations(session: nox.Session) -> None:
    """Take counters, shields, deadlines and redaction out of the source, one by one, and see that a test notices.

    What each came to is kept in docs/mutations.md. All take about forty minutes on two processors, and may be tried in
    pieces: ``-- --rest`` goes on where a run has ended, ``-- --from K --to L`` tries those with these numbers, of which
    ``-- --list`` tells, and ``-- WORD`` those whose description has the word.
    """
    session.install("-e", ".[demo,uvloop]", *group("tests"))
    session.run("python", "-m", "mutations", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session(python=SUPPORTED[0])
def tests_lowest(session: nox.Session) -> None:
    """Run the tests on the oldest Python with the lowest version of each dependency that the package allows."""
    lowest = [requirement.replace(">=", "==") for requirement in PROJECT["project"]["dependencies"]]
    session.install(".[demo,uvloop]", *lowest, *group("tests"))
    session.run("pytest", *PARALLEL, *session.posargs, env={"HYPOTHESIS_PROFILE": "quick"})


@nox.session(python=SUPPORTED[0])
def bench(session: nox.Session) -> None:
    """Measure beside other loggers: parts by name, ``--rounds N``, ``--quick``; see docs/performance.md.

    One Python for all, the oldest: not every logger has wheels for the others. The original fapilog has the same
    import name, so it gets an environment of its own.
    """
    session.install(".[demo,uvloop]", *group("bench"))
    if "--quick" in session.posargs:  # beside one logger only
        session.run("python", "-m", "benchmarks", *session.posargs)
        return
    original = Path(session.virtualenv.location, "original")
    python = str(original / "bin" / "python")
    if not original.exists():
        session.run("python", "-m", "venv", str(original))
    session.run(python, "-m", "pip", "install", "--quiet", *group("bench-original"), external=True)
    session.run("python", "-m", "benchmarks", *session.posargs, env={"ORIGINAL_FAPILOG_PYTHON": python})


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, the formatting and the direction of imports."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", *session.posargs)
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the source and of the examples of public usage, and that the public names are all typed."""
    session.install(".[demo]", *group("tests"), *group("typing"))
    usage = sorted(map(str, Path("tests/typing").glob("*.py")))
    session.run("mypy", "src", *usage, *session.posargs)
    session.run("pyright", "src", *usage)
    session.run("pyright", "--verifytypes", "fapilog", "--ignoreexternal")
