"""Verbs of several parts: each part is parsed, helped and run like a verb of its own."""

from __future__ import annotations

import argparse
import importlib
import sys
import types

import pytest

from nitrogen_jax import cli
from nitrogen_jax.commands import bench, data, nested
from nitrogen_jax.errors import NitrogenError

PARTS = {"one": "does one thing", "two": "does two things"}


@pytest.fixture
def verb(monkeypatch):
    """A verb with two parts; returns what the parts were run with."""
    ran = []

    def part(name):
        module = types.ModuleType(f"nitrogen_jax.commands.both_{name}")
        module.SUMMARY, module.EXAMPLES = f"Part {name}.", f"  nitrogen both {name} x"

        def add_arguments(parser):
            parser.add_argument("path")
            parser.add_argument("--number", type=int, default=1)
            parser.add_argument("-v", action="store_true")

        def run(args):
            ran.append((name, vars(args)))
            if args.number < 0:
                raise NitrogenError("number is below 0")
            return args.number

        module.add_arguments, module.run = add_arguments, run
        monkeypatch.setitem(sys.modules, module.__name__, module)

    for name in PARTS:
        part(name)
    module = types.ModuleType("nitrogen_jax.commands.both")
    module.SUMMARY, module.EXAMPLES = "Both.", "  nitrogen both one x"
    module.add_arguments = lambda parser: nested.add_arguments(parser, PARTS)
    module.run = lambda args: nested.run("both", args)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "VERBS", {**cli.VERBS, "both": "both things"})
    return ran


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["one", "x"], ("one", {"path": "x", "number": 1, "v": False})),
        (["two", "x"], ("two", {"path": "x", "number": 1, "v": False})),
        (["one", "--number", "0", "x"], ("one", {"path": "x", "number": 0, "v": False})),
        (["one", "x", "-v", "--number=3"], ("one", {"path": "x", "number": 3, "v": True})),
        (["one", "-v", "--", "--x"], ("one", {"path": "--x", "number": 1, "v": True})),
        (["one", "one"], ("one", {"path": "one", "number": 1, "v": False})),
    ],
)
def test_the_rest_is_for_the_part(verb, arguments, wanted):
    assert cli.main(["both", *arguments]) == wanted[1]["number"]
    assert verb == [wanted]


def test_an_error_of_a_part(verb, capsys):
    assert cli.main(["both", "one", "x", "--number", "-1"]) == 2
    assert capsys.readouterr().err == "nitrogen both: number is below 0\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: what"),
        (["three"], "argument what: invalid choice: 'three'"),
        (["--number", "1", "one"], ""),
        (["one"], "the following arguments are required: path"),
        (["one", "x", "y"], "unrecognized arguments: y"),
        (["one", "x", "--number", "many"], "invalid int value: 'many'"),
    ],
)
def test_bad_usage(verb, capsys, arguments, says):
    with pytest.raises(SystemExit) as caught:
        cli.main(["both", *arguments])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("usage: nitrogen both")
    assert verb == []


def test_help_of_the_verb(verb, capsys):
    for arguments in (["--help"], ["-h"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["both", *arguments])
        assert caught.value.code == 0
        out = capsys.readouterr().out
        assert "usage: nitrogen both" in out
        assert "what:\n  one  does one thing\n  two  does two things\n\nexamples:\n" in out


def test_help_of_a_part(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["both", "two", "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: nitrogen both two [-h] [--number NUMBER] [-v] path\n")
    assert "Part two." in out
    assert "examples:\n  nitrogen both two x" in out
    assert verb == []


@pytest.mark.parametrize(
    ("verb", "part"), [(verb, part) for verb in (data, bench) for part in verb.PARTS]
)
def test_parts_that_there_are(verb, part):
    """Each is a module with all that a verb needs; its examples are understood by its parser."""
    name = verb.__name__.rpartition(".")[2]
    module = importlib.import_module(f"nitrogen_jax.commands.{name}_{part}")
    assert module.SUMMARY.endswith(".")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    examples = [line.split() for line in module.EXAMPLES.splitlines()]
    examples = [words[3:] for words in examples if words[:3] == ["nitrogen", name, part]]
    assert examples
    for words in examples:
        parser.parse_known_args(words)  # exits if it does not understand them
