"""The command line: exit codes, one-sentence errors, and how little it imports."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from nitrogen_jax import __version__, cli
from nitrogen_jax.errors import NitrogenError

# What the help text must not wait for.
HEAVY = ("jax", "jaxlib", "flax", "cv2", "rich", "numpy", "gymnasium", "torch")


@pytest.fixture
def add_verb(monkeypatch):
    """Adds the verb `try`, whose `run` is the given function."""

    def add(run, add_arguments=lambda parser: None):
        module = types.ModuleType("nitrogen_jax.commands.try")
        module.SUMMARY, module.EXAMPLES = "Tries.", "  nitrogen try"
        module.run, module.add_arguments = run, add_arguments
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(cli.VERBS, "try", "tries")

    return add


def raising(error):
    """A `run` that raises `error`."""

    def run(args):
        raise error

    return run


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for verb, line in cli.VERBS.items():
        assert f"  {verb} " in text
        assert line in text


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"nitrogen_jax {__version__}\n"


def test_no_verb_shows_the_help(capsys):
    assert cli.main([]) == 2
    assert "verbs:" in capsys.readouterr().err


def test_unknown_verb(capsys):
    assert cli.main(["fly", "--high"]) == 2
    error = capsys.readouterr().err
    assert "'fly'" in error
    assert "doctor" in error


def test_help_of_a_verb_reaches_the_verb(add_verb, capsys):
    add_verb(lambda args: 0, lambda parser: parser.add_argument("--depth", help="how deep"))
    with pytest.raises(SystemExit) as stop:
        cli.main(["try", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "how deep" in text
    assert "nitrogen try" in text


def test_arguments_and_exit_code_of_a_verb(add_verb):
    add_verb(
        lambda args: args.depth,
        lambda parser: parser.add_argument("--depth", type=int, default=0),
    )
    assert cli.main(["try"]) == 0
    assert cli.main(["try", "--depth", "1"]) == 1
    assert cli.main(["-v", "try", "--depth=1"]) == 1
    with pytest.raises(SystemExit) as stop:
        cli.main(["try", "--width", "1"])
    assert stop.value.code == 2


def test_bad_input_is_one_sentence(add_verb, capsys):
    add_verb(raising(NitrogenError("cannot read x.png: it is empty")))
    assert cli.main(["try"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "nitrogen try: cannot read x.png: it is empty\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("flax.linen", "nitrogen_jax[jax]"),
        ("orbax.checkpoint", "nitrogen_jax[jax]"),
        ("libtpu", "nitrogen_jax[jax,tpu]"),
        ("pygame", "nitrogen_jax[window]"),
    ],
)
def test_missing_library_names_its_extra(add_verb, capsys, module, extra):
    add_verb(raising(ModuleNotFoundError(f"No module named {module!r}", name=module)))
    assert cli.main(["try"]) == 2
    error = capsys.readouterr().err
    assert error == f"nitrogen try: needs {module}, which is not installed: pip install '{extra}'\n"


def test_a_missing_module_of_nobody_is_a_bug_and_not_hidden(add_verb):
    add_verb(raising(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["try"])


def test_a_bug_keeps_its_traceback(add_verb):
    add_verb(raising(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["try"])


def test_ctrl_c(add_verb, capsys):
    add_verb(raising(KeyboardInterrupt()))
    assert cli.main(["try"]) == 130
    assert capsys.readouterr().err == "nitrogen try: interrupted\n"


def test_help_imports_nothing_heavy(run_python):
    code = (
        "import sys, nitrogen_jax\n"
        "from nitrogen_jax import cli\n"
        "try:\n"
        "    cli.main(['--help'])\n"
        "except SystemExit:\n"
        f"    print('loaded', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    ran = run_python("-c", code)
    assert ran.returncode == 0, ran.stderr
    assert "verbs:" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_of_every_verb_needs_no_extra(run_python, verb):
    # None in sys.modules makes Python raise as if the library were not installed.
    code = (
        "import sys\n"
        "from nitrogen_jax import cli, extras\n"
        "for modules in extras.EXTRAS.values():\n"
        "    sys.modules.update(dict.fromkeys(modules))\n"
        f"sys.exit(cli.main([{verb!r}, '--help']))"
    )
    ran = run_python("-c", code)
    assert ran.returncode == 0, ran.stderr
    assert "examples:" in ran.stdout


def test_an_error_of_the_real_program(run_python):
    ran = run_python("-m", "nitrogen_jax.cli", "fly")
    assert ran.returncode == 2
    assert ran.stderr.startswith("nitrogen: there is no verb 'fly'")
    assert len(ran.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys, types\n"
        "from nitrogen_jax import cli\n"
        "verb = types.ModuleType('nitrogen_jax.commands.try')\n"
        "verb.SUMMARY = verb.EXAMPLES = ''\n"
        "verb.add_arguments = lambda parser: None\n"
        "verb.run = lambda args: sys.stdin.read() or sys.stdout.write('x\\n') * 0\n"
        "sys.modules[verb.__name__] = verb\n"
        "cli.VERBS['try'] = 'tries'\n"
        "sys.exit(cli.main(['try']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    process.stdout.close()  # before the verb writes: it waits for the end of its input
    process.stdin.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert errors == b""
