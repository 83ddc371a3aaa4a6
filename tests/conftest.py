"""What every test runs under: the CPU, no network, and skips that can be forbidden.

NITROGEN_REQUIRE=parity,tpu names extras (or other words) whose tests must run: a test that is
skipped for a reason that names the extra or one of its modules fails instead.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from nitrogen_jax.doctor.check import version_of
from nitrogen_jax.extras import EXTRAS

ROOT = Path(__file__).parents[1]

# Before anything imports JAX. Tests that need many devices start processes of their own.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Small networks compile for seconds and run for milliseconds: compile them with less care.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# The same small networks are compiled by many tests and their processes: once is enough.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
# Nothing in a test may look for models on a hub.
os.environ["HF_HUB_OFFLINE"] = "1"

# A deadline would fail tests that compile something on a busy machine.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure() -> None:
    """Whoever starts tests in the background of a shell has them ignore Ctrl-C, and so do all
    programs that they start: those of which it is tested would not end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """The versions that decide what a failure means."""
    names = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers", "libtpu")
    found = [f"{name} {version_of(name)}" for name in names if version_of(name)]
    return f"libraries: {', '.join(found)}; JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}"


def required_words() -> set[str]:
    """The extras of NITROGEN_REQUIRE and their modules."""
    names = {name.strip() for name in os.environ.get("NITROGEN_REQUIRE", "").split(",")} - {""}
    return names.union(*(EXTRAS.get(name, ()) for name in names))


def forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip for want of something required into a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    named = sorted(
        word for word in required_words() if re.search(rf"\b{re.escape(word)}\b", reason, re.I)
    )
    if named:
        report.outcome = "failed"
        report.longrepr = f"NITROGEN_REQUIRE forbids this skip ({', '.join(named)}): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    forbid_skip(report)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Obeys `@pytest.mark.needs("torch", ...)`."""
    for mark in item.iter_markers("needs"):
        for module in mark.args:
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"needs {module}, which is not installed")


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python *arguments` in a process that finds the package, installed or not."""

    def run(*arguments: str, timeout: float = 300, **environment: str):
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            **environment,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    return run
