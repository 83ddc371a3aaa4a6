"""What all launch scripts have in common."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("local.sh", "slurm.sbatch", "tpu_pod.sh", "gke.sh")
NEEDED = {  # options without which a script does nothing
    "tpu_pod.sh": ("--name", "pod", "--zone", "z"),
    "gke.sh": ("--image", "i", "--topology", "4x4", "--bucket", "b"),
}


def shell_files() -> list[str]:
    return [
        str(path)
        for path in sorted((ROOT / "launch").iterdir())
        if path.suffix in (".sh", ".sbatch")
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_option(stage, script):
    done = stage.run(script, "--help")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0][0].isalpha()
    known = set(re.findall(r"^ {4}(--[a-z-]+)\b.*\)", (ROOT / "launch" / script).read_text(), re.M))
    assert "--dry-run" in known
    assert known - {"--help"} <= set(re.findall(r"--[a-z-]+", done.stdout))
    assert stage.calls == []


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--dry-run"], "CONFIG and OUT are needed"),
        (["--nonsense", "1", "configs/tiny.py", "runs/a"], "there is no option --nonsense"),
        (["configs/none.py", "runs/a"], "config configs/none.py"),
    ],
)
def test_bad_usage_is_one_sentence_and_2(stage, script, arguments, complaint):
    done = stage.run(script, *NEEDED.get(script, ()), *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert stage.calls == []


@pytest.mark.parametrize(
    ("script", "option"),
    [
        ("local.sh", "--processes"),
        ("slurm.sbatch", "--nodes"),
        ("gke.sh", "--chips"),
        ("tpu_pod.sh", "--attempts"),
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_numbers_are_checked(stage, script, option, value):
    done = stage.run(script, *NEEDED.get(script, ()), option, value, "configs/tiny.py", "runs/a")
    assert done.returncode == 2
    assert f"{option} is '{value}'" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_option_at_the_end_needs_its_value(stage, script):
    option = {"local.sh": "--port", "slurm.sbatch": "--gpus"}.get(script, "--name")
    done = stage.run(script, option)
    assert done.returncode == 2
    assert f"{option} needs a value" in done.stderr


@pytest.mark.parametrize("path", shell_files(), ids=lambda path: Path(path).name)
def test_the_syntax_is_right(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True).returncode == 0


def test_shellcheck_has_nothing_to_say():
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:/usr/bin")
    if program is None:
        pytest.skip("shellcheck is not on this machine")
    done = subprocess.run(
        [program, "-x", "--severity=warning", *shell_files()],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == ""


def test_words_are_quoted_so_that_a_shell_reads_them_again(stage):
    words = ["plain", "a b", "it's", "$HOME", "[1,2]", "", "--x='a'", "a\\b", "*"]
    text = f'source {ROOT}/launch/common.sh; quoted "$@"'
    line = subprocess.run(["bash", "-c", text, "x", *words], capture_output=True, text=True).stdout
    again = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True)
    assert again.stdout.splitlines() == words
