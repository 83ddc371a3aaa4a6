"""The rule that a required test may not be skipped, tried on a small project of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent

TESTS = """
import pytest

@pytest.mark.needs("libtpu_of_nobody")
def test_marked(): ...

def test_for_the_module():
    pytest.importorskip("torch_of_nobody")

def test_in_words():
    pytest.skip("the TPU topology needs libtpu")

@pytest.mark.xfail(reason="libtpu", strict=True)
def test_expected_to_fail():
    assert False

def test_that_runs(): ...
"""
WHOLE_FILE = "import pytest\npytest.importorskip('transformers_of_nobody')\ndef test(): ...\n"


@pytest.fixture
def outcome(tmp_path, run_python):
    """Runs those tests and returns pytest's exit code and its counts."""
    (tmp_path / "tests").mkdir()
    shutil.copy(HERE / "conftest.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs: modules\n")
    (tmp_path / "tests" / "test_some.py").write_text(TESTS)
    (tmp_path / "tests" / "test_whole.py").write_text(WHOLE_FILE)

    def run(require: str) -> tuple[int, str]:
        ran = run_python(
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)),
            NITROGEN_REQUIRE=require,
        )
        return ran.returncode, ran.stdout.strip().splitlines()[-1].rsplit(" in ", 1)[0]

    return run


@pytest.mark.parametrize(
    ("require", "code", "counts"),
    [
        ("", 0, "1 passed, 4 skipped, 1 xfailed"),
        ("display", 0, "1 passed, 4 skipped, 1 xfailed"),
        ("tpu", 1, "1 failed, 1 passed, 3 skipped, 1 xfailed"),
        (
            "libtpu_of_nobody, torch_of_nobody",
            1,
            "1 failed, 1 passed, 2 skipped, 1 xfailed, 1 error",
        ),
    ],
)
def test_required_tests_may_not_be_skipped(outcome, require, code, counts):
    assert outcome(require) == (code, counts)


def test_a_whole_file_may_not_be_skipped_either(outcome):
    code, counts = outcome("transformers_of_nobody")
    assert code != 0
    assert "1 error" in counts
