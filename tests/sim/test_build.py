"""The shim's compilation: strict, once, kept, by several at once; and the page that both know."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from nitrogen_jax.sim import build, shared
from nitrogen_jax.sim.errors import LaunchError

pytestmark = pytest.mark.skipif(build.find_compiler() is None, reason="needs a C compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CFLAGS", "-O0")  # in a hurry
    build._built.cache_clear()
    yield tmp_path / "cache" / "nitrogen_jax"
    build._built.cache_clear()


@pytest.mark.parametrize(
    "path", [*build.sources(), build.FOLDER / build.GUARD], ids=lambda p: p.name
)
def test_no_file_has_a_warning(path, tmp_path):
    out = tmp_path / "out.o"
    words = [*build.find_compiler(), *build.FLAGS, *build.STRICT, "-fPIC", "-c", str(path)]
    done = subprocess.run([*words, "-o", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.exists()


def test_it_is_compiled_once(cache, monkeypatch):
    first = build.built()
    assert sorted(path.name for path in cache.iterdir()) == sorted(path.name for path in first)
    before = first.shim.stat().st_mtime_ns
    build._built.cache_clear()
    monkeypatch.setattr(build, "compile_to", lambda *_: pytest.fail("compiled again"))
    assert build.built() == first
    assert first.shim.stat().st_mtime_ns == before


def test_processes_compile_at_the_same_time(cache):
    code = "from nitrogen_jax.sim import build; print(build.built().shim)"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    paths = {process.communicate()[0].strip() for process in running}
    assert len(paths) == 1
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]
    shared.check_layout.cache_clear()
    shared.check_layout(next(iter(cache.glob("*.so"))))


def test_another_source_or_compiler_is_another_file(tmp_path, monkeypatch):
    compiler = tuple(build.find_compiler())
    before = build.fingerprint(compiler)
    assert build.fingerprint(compiler) == before
    assert build.fingerprint((*compiler, "-DANOTHER")) != before
    copy = tmp_path / "shim"
    copy.mkdir()
    for path in build.FOLDER.glob("*.[ch]"):
        (copy / path.name).write_text(path.read_text())
    monkeypatch.setattr(build, "FOLDER", copy)
    assert build.fingerprint(compiler) == before
    (copy / "layout.h").write_text((copy / "layout.h").read_text() + "\n")
    assert build.fingerprint(compiler) != before


def test_a_compiler_that_fails_is_one_sentence(cache, tmp_path, monkeypatch):
    script = tmp_path / "cc"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho no headers >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(LaunchError, match=r"cannot compile the simulator.*no headers"):
        build.built()
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LaunchError, match="cannot keep the compiled simulator"):
        build.built()


def test_a_cache_whose_path_cannot_be_preloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "with a space"))
    with pytest.raises(LaunchError, match="space or a colon"):
        build.built()


# ---------------------------------------------------------------------------------------------
# The page


def test_both_sides_know_the_same_page():
    assert shared.layout_of(build.built().shim) == shared.layout_here()
    assert shared.PAGE.itemsize <= shared.HEADER


@pytest.mark.parametrize(
    ("pattern", "text", "words"),
    [
        (r"#define NG_VERSION 1u", "#define NG_VERSION 2u", "version 2 and 1"),
        (r"#define NG_AXES 6 ", "#define NG_AXES 8 ", "axes"),
        (r"uint64_t, frame_ns", "uint32_t, frame_ns", "frame_ns"),
        (r"0x6d69736eu", "0x12345678u", "magic"),
    ],
)
def test_another_page_is_refused(tmp_path, monkeypatch, pattern, text, words):
    copy = tmp_path / "shim"
    copy.mkdir()
    for path in build.FOLDER.glob("*.[ch]"):
        (copy / path.name).write_text(path.read_text())
    header = copy / "layout.h"
    changed, number = re.subn(pattern, text, header.read_text())
    assert number == 1
    header.write_text(changed)
    library = tmp_path / "other.so"
    flags = (*build.FLAGS, *build.SHIM_FLAGS)
    compiler = tuple(build.find_compiler())
    build.compile_to(library, compiler, flags, [copy / "tell_layout.c"])
    with pytest.raises(LaunchError, match=words):
        shared.check_layout(library)
