"""`nitrogen serve` as a person meets it: one line when it is ready, exit codes, sentences."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import zmq

pytest.importorskip("jax")

from nitrogen_jax import cli
from nitrogen_jax.serving.agent import Agent, make_engine
from nitrogen_jax.serving.client import Client
from nitrogen_jax.weights.policies import load_policy


@pytest.fixture
def serve():
    """Starts the command in a process of its own; the process and the address it prints."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "nitrogen_jax.cli", "serve", "random:test", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )
        started.append(process)
        word, address = process.stdout.readline().split()
        assert word == "ready"
        return process, address

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_it_serves_until_it_is_told_to_end(serve):
    process, address = serve("--port", "0", "--seed", "3", "--max-batch", "1", "--http", "0")
    assert address.startswith("tcp://127.0.0.1:")
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    with Client(address, timeout=60) as client:
        found = client.act(frame)
        assert client.info()["policy"] == "random:test"
        process.send_signal(signal.SIGTERM)
        rest, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert rest == ""
    assert "/metrics" in told
    wanted = Agent(make_engine(load_policy("random:test")), seed=3).act(frame)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_serves_the_original_client_until_interrupted(serve):
    process, address = serve("--compat-original", "--port", "0", "--steps", "1", "--old-layout")
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    socket.connect(address)
    try:
        replies = []
        for request in (
            {"type": "reset"},
            {"type": "info"},
            {"type": "predict", "image": np.zeros((256, 256, 3), np.uint8)},
        ):
            socket.send(pickle.dumps(request))
            assert socket.poll(60_000)
            replies.append(pickle.loads(socket.recv()))
    finally:
        socket.close(0)
        context.term()
    assert [reply["status"] for reply in replies] == ["ok"] * 3
    assert replies[1]["info"]["ckpt_path"] == "random:test"
    assert replies[1]["info"]["old_layout"] is True
    assert replies[2]["pred"]["buttons"].shape == (18, 21)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "checkpoint nowhere does not exist"),
        (["random:x"], "'x' is not known"),
        (["random:test", "--bind", "0.0.0.0"], "can be reached from other machines"),
        (["random:test", "--bind", "0.0.0.0", "--compat-original"], "--insecure-compat"),
        (["random:test", "--insecure-compat"], "belongs to --compat-original"),
        (["random:test", "--compat-original", "--http", "0"], "knows no --curve"),
        (["random:test", "--max-batch", "0"], "--max-batch is 0"),
        (["random:test", "--seed", "-1"], "--seed is -1"),
        (["random:test", "--cfg", "nan"], "--cfg is nan"),
        (["random:test", "--ctx", "2"], "give fewer frames"),
        (["random:test", "--port", "70000"], "--port is 70000"),
        (["random:test", "--forbid", "FIRE"], "button FIRE is not known"),
        (["random:test", "--game", "chess"], "knows no games"),
        (["random:test", "--token-file", "nowhere"], "cannot read the token"),
    ],
)
def test_bad_usage_is_one_sentence(capsys, arguments, words):
    port = [] if "--port" in arguments else ["--port", "0"]
    assert cli.main(["serve", *arguments, *port]) == 2
    out, told = capsys.readouterr()
    assert out == ""
    assert words in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--compat-original"]])
def test_a_port_that_is_taken_is_one_sentence(capsys, options):
    context = zmq.Context()
    other = context.socket(zmq.ROUTER)
    port = other.bind_to_random_port("tcp://127.0.0.1")
    try:
        assert cli.main(["serve", "random:test", "--port", str(port), *options]) == 2
    finally:
        other.close(0)
        context.term()
    told = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken" in told
    assert told.count("\n") == 1
