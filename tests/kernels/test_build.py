"""The kernel's compilation: once, kept, by several at once, and without a compiler not at all."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys

import pytest

from nitrogen_jax.kernels import build

needs_compiler = pytest.mark.skipif(build.find_compiler() is None, reason="no C++ compiler")

BUILD = "from nitrogen_jax.kernels import build; print(build.shared_object())"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CXXFLAGS", raising=False)
    return tmp_path / "cache" / "nitrogen_jax"


def kept(cache):
    return sorted(path.name for path in cache.iterdir())


@needs_compiler
def test_it_is_compiled_once(cache, monkeypatch):
    path = build.shared_object()
    assert path.parent == cache
    assert kept(cache) == [path.name]
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build.shared_object() == path
    assert path.stat().st_mtime_ns == before


@needs_compiler
@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv("CXXFLAGS", "-DANOTHER"),
        lambda patch: patch.setattr(build, "_processor", lambda: "another"),
        lambda patch: patch.setattr(build.jax, "__version__", "0.0.0"),
        lambda patch: patch.setattr(build, "FLAGS", ("-O2", *build.FLAGS)),
    ],
)
def test_it_is_another_file_where_anything_differs(monkeypatch, change):
    compiler = build.find_compiler()
    before = build._fingerprint(compiler)
    assert build._fingerprint(compiler) == before
    change(monkeypatch)
    assert build._fingerprint(compiler) != before


def test_no_compiler_is_no_kernel(cache, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.INFO, build.__name__):
        assert build.shared_object() is None
    assert "no C++ compiler" in caplog.text
    assert not cache.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [("echo broken >&2; exit 1", "broken"), ("exec sleep 30", "timed out")],
)
def test_a_compiler_that_fails_is_no_kernel(cache, monkeypatch, tmp_path, caplog, body, words):
    script = tmp_path / "compiler"
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{body}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setattr(build, "TIMEOUT_S", 1)
    with caplog.at_level(logging.INFO, build.__name__):
        assert build.shared_object() is None
    assert words in caplog.text
    assert kept(cache) == []


@needs_compiler
def test_flags_that_a_compiler_does_not_know_are_left_out(cache, monkeypatch):
    monkeypatch.setattr(build, "NATIVE", (("-march=no-such-processor",), ()))
    path = build.shared_object()
    assert kept(cache) == [path.name]


def test_a_folder_that_cannot_be_written_is_no_kernel(cache, caplog):
    cache.parent.write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, build.__name__):
        assert build.shared_object() is None
    assert "XLA computes them" in caplog.text


@needs_compiler
def test_two_processes_at_once_leave_one_kernel(cache):
    paths = [os.getcwd(), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    found = {process.communicate(timeout=120)[0].strip() for process in both}
    assert len(found) == 1
    assert kept(cache) == [found.pop().rpartition("/")[2]]
