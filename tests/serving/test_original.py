"""The original's protocol: its client is served, and a pickle runs nothing."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import original_pickle
from nitrogen_jax.serving.agent import Agent
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.original import OriginalServer, answer, info_of

INFO = info_of("/models/ng.pt", old_layout=False, guidance=1.0, frames=1)
PROTOCOLS = [2, 3, 4, 5]


@pytest.fixture(scope="module")
def agent(engine):
    return Agent(engine, seed=5)


@pytest.fixture(scope="module")
def ask(agent):
    """Sends bytes to a server over a socket as the original's client does; the reply, unpickled."""
    server, stop = OriginalServer(Door()), threading.Event()
    thread = threading.Thread(target=server.run, args=(agent, INFO, stop.is_set))
    thread.start()
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    socket.connect(server.address)

    def ask(message):
        socket.send(message if isinstance(message, bytes) else pickle.dumps(message))
        assert socket.poll(60_000), "no reply"
        return pickle.loads(socket.recv())

    yield ask
    stop.set()
    thread.join(60)
    socket.close(0)
    context.term()


def test_it_is_played_as_the_original_client_plays(ask, engine, make_picture):
    """reset, info, then a stretched PIL image of 256 x 256 at every predict."""
    image = pytest.importorskip("PIL.Image")
    assert ask({"type": "reset"}) == {"status": "ok"}
    found = ask({"type": "info"})
    assert found["status"] == "ok"
    info = found["info"]
    assert info["action_downsample_ratio"] == 1
    assert info["ckpt_path"].endswith("ng.pt")
    wanted_keys = "ckpt_path selected_game old_layout cfg_scale context_length action_interleaving"
    assert {*wanted_keys.split(), "is_flowmatching", "action_downsample_ratio"} == info.keys()
    alone = Agent(engine, seed=5)
    for number in range(3):
        frame = make_picture(number, (256, 256))
        reply = ask({"type": "predict", "image": image.fromarray(frame)})
        assert reply["status"] == "ok"
        pred, wanted = reply["pred"], gamepad.decode(alone.act(frame))
        assert {key: value.shape for key, value in pred.items()} == {
            **{"j_left": (18, 2), "j_right": (18, 2), "buttons": (18, 21)}
        }
        assert {value.dtype for value in pred.values()} == {np.dtype(np.float32)}
        np.testing.assert_allclose(pred["j_left"], wanted.left, atol=1e-5)
        np.testing.assert_allclose(pred["j_right"], wanted.right, atol=1e-5)
        np.testing.assert_array_equal(pred["buttons"], wanted.buttons)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["array", "fortran", "view", "image"])
def test_every_protocol_and_order_is_read(protocol, kind, make_picture):
    frame = make_picture(1, (6, 9))
    sent = {
        "array": lambda: frame,
        "fortran": lambda: np.asfortranarray(frame),
        "view": lambda: frame[:, ::2],
        "image": lambda: pytest.importorskip("PIL.Image").fromarray(frame),
    }[kind]()
    data = pickle.dumps({"type": "predict", "image": sent}, protocol=protocol)
    for name in (b"numpy._core", b"numpy.core"):  # NumPy 2 and NumPy 1
        if protocol < 4:
            data = data.replace(b"numpy._core", name)
        found = original_pickle.to_picture(original_pickle.loads(data)["image"])
        np.testing.assert_array_equal(found, np.asarray(sent))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_modes_of_images(mode, make_picture):
    image = pytest.importorskip("PIL.Image").fromarray(make_picture(1)).convert(mode)
    found = original_pickle.to_picture(original_pickle.loads(pickle.dumps(image)))
    np.testing.assert_array_equal(found.squeeze(), np.asarray(image))


class Runs:
    """A pickle that does something when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def malicious(path):
    """Pickles that would make a file, if anything in them ran."""
    code = f"open({str(path)!r}, 'w').close()"
    for protocol in range(6):
        for call in (
            (os.system, f"touch {path}"),
            (exec, code),
            (eval, f"open({str(path)!r}, 'w')"),
            (subprocess.check_call, ["touch", str(path)]),
        ):
            yield pickle.dumps({"type": "predict", "image": Runs(*call)}, protocol)
            yield pickle.dumps(Runs(*call), protocol)
    yield b"cos\nsystem\n(S'touch " + str(path).encode() + b"'\ntR."
    yield b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x09touch /x\x85R."
    yield b"\x80\x02(S'x'\ni os\nsystem\n."
    yield b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."
    yield b"\x80\x04\x82\x01."  # an extension code
    yield b"\x80\x04Pos\n."
    yield b"\x80\x05\x97."  # a buffer from elsewhere
    yield b"\x80\x04Nr\xff\xff\xff\x7f."  # a memo of 16 GB
    yield b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f."
    # Names that are allowed, asked for what they are not for.
    yield b"\x80\x02cnumpy\nndarray\n}X\x04\x00\x00\x00dataNsb."
    yield b"\x80\x02c_codecs\nencode\n}X\x0c\x00\x00\x00__defaults__Nsb."
    yield b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00abcX\x05\x00\x00\x00rot13\x86R."
    yield b"\x80\x02cnumpy\ndtype\nX\x07\x00\x00\x00numpy.x\x85R."
    yield b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.__new\x93."


def test_a_malicious_pickle_runs_nothing(ask, tmp_path, make_picture):
    path = tmp_path / "it_ran"
    for data in malicious(path):
        reply = ask(data)
        assert reply["status"] == "error"
        assert reply["message"]
        assert "\n" not in reply["message"]
        assert not path.exists()
    assert ask({"type": "reset"}) == {"status": "ok"}
    assert ask({"type": "predict", "image": make_picture(0)})["status"] == "ok"


def test_the_sample_of_malice_would_run(tmp_path):
    """What the test above refuses does harm where it is read by pickle itself."""
    path = tmp_path / "it_ran"
    code = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    data = pickle.dumps(Runs(exec, f"open({str(path)!r}, 'w').close()"))
    subprocess.run([sys.executable, "-c", code], input=data, check=True)
    assert path.exists()


def test_numbers_of_instructions_and_bytes_are_limited():
    with pytest.raises(NitrogenError, match="longer than that of a picture"):
        original_pickle.loads(pickle.dumps(list(range(5000))))
    laughs = []
    for _ in range(300):
        laughs = [laughs, laughs]
    assert isinstance(original_pickle.loads(pickle.dumps(laughs)), list)
    with pytest.raises(NitrogenError, match="bytes, where"):
        original_pickle.loads(bytes(original_pickle.MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "fly"}, "type is 'fly', where reset, info and predict are known"),
        ({"type": [1]}, "type is a list"),
        ({}, "type is a NoneType"),
        ([1, 2], "not a dict"),
        ({"type": "predict"}, "where a PIL image or an array is needed"),
        ({"type": "predict", "image": "x"}, "where a PIL image or an array is needed"),
        ({"type": "predict", "image": np.zeros((4, 4, 3))}, "type 'f8', where uint8"),
        ({"type": "predict", "image": np.zeros((4, 4, 2), np.uint8)}, r"shape \(4, 4, 2\)"),
        ({"type": "predict", "image": np.zeros((0, 4, 3), np.uint8)}, "damaged"),
        ({"type": "predict", "image": np.zeros(5, np.uint8)}, "damaged"),
        ({"type": "predict", "image": np.array([object()])}, "object"),
    ],
)
def test_other_messages_are_error_replies(agent, message, words):
    reply = answer([pickle.dumps(message)], agent, INFO)
    assert reply["status"] == "error"
    assert re.search(words, reply["message"]), reply


@given(st.data())
def test_a_damaged_pickle_is_one_sentence(data):
    whole = pickle.dumps(
        {"type": "predict", "image": np.zeros((2, 3, 3), np.uint8)},
        protocol=data.draw(st.sampled_from(PROTOCOLS)),
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    player = types.SimpleNamespace(reset=lambda: None, act=lambda picture: gamepad.neutral(18))
    reply = answer([bytes(damaged)], player, INFO)
    assert reply["status"] in ("ok", "error")
    assert "\n" not in reply.get("message", "")
    assert "its log says why" not in reply.get("message", "")


def test_replies_are_read_by_either_numpy():
    reply = {"pred": {"j_left": np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)}}
    data = original_pickle.dumps(reply)
    assert b"numpy._core" not in data
    assert b"numpy.core.multiarray" in data
    found = pickle.Unpickler(io.BytesIO(data)).load()
    np.testing.assert_array_equal(found["pred"]["j_left"], reply["pred"]["j_left"])


def test_other_machines_are_let_in_only_by_those_who_know():
    with pytest.raises(NitrogenError, match="--insecure-compat"):
        OriginalServer(Door("0.0.0.0"))
    OriginalServer(Door("0.0.0.0"), insecure=True).close()
