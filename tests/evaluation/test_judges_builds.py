"""What is known of a build goes by its file's contents."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation.judges.builds import known
from nitrogen_jax.evaluation.judges.memory import Memory


@pytest.fixture
def running(tmp_path):
    """A process whose program is a copy of our own."""
    program = tmp_path / "program"
    shutil.copyfile(shutil.which("cat"), program)
    program.chmod(0o755)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([program], **pipes) as process:
        try:
            # What answers is the copy, mapped as a whole, and no longer what started it.
            process.stdin.write(b"there?\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"there?\n"
            yield process.pid, program
        finally:
            process.kill()


def test_a_known_build_is_found_where_it_is_mapped(running):
    pid, program = running
    digest = hashlib.sha256(Path(program).read_bytes()).hexdigest()
    with Memory(pid) as memory:
        base, layout = known(memory, "program", {"0" * 64: "another", digest: "this"})
        assert layout == "this"
        assert memory.bytes(base, 4) == b"\x7fELF"


def test_another_build_and_another_program_are_refused(running):
    pid, _ = running
    with Memory(pid) as memory:
        with pytest.raises(NitrogenError, match="not known what lies where"):
            known(memory, "program", {"0" * 64: "another"})
        with pytest.raises(NitrogenError, match="has no libnowhere"):
            known(memory, "libnowhere.so", {})
