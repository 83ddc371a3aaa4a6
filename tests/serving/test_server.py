"""The server over real sockets: the same actions for everybody, whatever others do to it."""

from __future__ import annotations

import random
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq

from nitrogen_jax import gamepad
from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.serving import binding, wire
from nitrogen_jax.serving.agent import Agent
from nitrogen_jax.serving.binding import Door
from nitrogen_jax.serving.client import Client, ServerError, ServerSilent
from nitrogen_jax.serving.desk import Options
from nitrogen_jax.serving.facts import Wanted
from nitrogen_jax.serving.server import Batching, Server
from nitrogen_jax.serving.status_page import StatusPage

sys.path.insert(0, str(Path(__file__).parent))
from served import Raw, serving


@pytest.fixture(scope="module")
def server(engine):
    with serving(engine) as made:
        yield made


@pytest.fixture
def connect(server):
    """Clients of the server, closed at the end."""
    made = []

    def make(**options):
        made.append(Client(server.address, **{"timeout": 60.0, **options}))
        return made[-1]

    yield make
    for client in made:
        client.close()


def chunks(player, pictures):
    return np.stack([player.act(one, step) for step, one in pictures])


def game(make_picture, number):
    """Two frames of a game that nobody else plays."""
    return [(step, make_picture(100 * number + step)) for step in (0, 3)]


def test_alone_it_plays_what_the_agent_plays(engine, connect, make_picture):
    pictures = game(make_picture, 1)
    wanted = chunks(Agent(engine, seed=7), pictures)
    client = connect(seed=7)
    np.testing.assert_allclose(chunks(client, pictures), wanted, atol=1e-5)
    client.reset()
    np.testing.assert_allclose(chunks(client, pictures), wanted, atol=1e-5)
    client.reset(seed=8)
    assert np.abs(chunks(client, pictures) - wanted).max() > 0.01
    assert client.facts == engine.facts


def play_together(server, engine, make_picture, count, seconds):
    """Clients at once, each checking every answer; how many chunks, and in what batches."""
    wanted = [chunks(Agent(engine, seed=i), game(make_picture, i)) for i in range(count)]
    before, problems = server.metrics.snapshot()["batches"], []
    ends = time.monotonic() + seconds

    def play(number):
        try:
            with Client(server.address, seed=number, timeout=60) as client:
                while time.monotonic() < ends:
                    found = chunks(client, game(make_picture, number))
                    np.testing.assert_allclose(found, wanted[number], atol=1e-5)
                    client.reset()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=play, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    after = server.metrics.snapshot()["batches"]
    return {size: number - before.get(size, 0) for size, number in after.items()}


def test_among_others_everybody_gets_their_own(server, engine, make_picture):
    batches = play_together(server, engine, make_picture, count=16, seconds=2)
    assert sum(int(size) * number for size, number in batches.items()) >= 2 * 16
    assert sum(number for size, number in batches.items() if int(size) > 1) > 0


def test_a_client_that_dies_disturbs_nobody(server, engine, connect, make_picture):
    pictures = game(make_picture, 2)
    wanted = chunks(Agent(engine, seed=1), pictures)
    client = connect(seed=1)
    for number in range(5):
        with Raw(server.address) as dying:
            assert dying.ask({"type": "hello", "id": 1})["type"] == "hello"
            frame = make_picture(number)
            dying.send(*wire.encode({"type": "predict", "id": 2}, [("frame", frame)]))
            dying.send(*wire.encode({"type": "predict", "id": 3}, [("frame", frame)])[:1])
        np.testing.assert_allclose(chunks(client, pictures), wanted, atol=1e-5)
        client.reset()


def garbage(chance, frame):
    """A message that is wrong in some way, or by chance right."""
    kind = chance.choice(["hello", "reset", "predict", "info", "stats", "bye", "x"])
    values = [None, -1, 0, 2**63, 1.5, "a", "x" * 300, [], [[]], {}, True, b"\xff", float("nan")]
    names = ["id", "step", "row", "seed", "session", "key", "forbid", "game", "deadline_ms", "v"]
    header = {"type": kind, "id": 1}
    header |= {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(3))}
    arrays = [("frame", frame)] * chance.randrange(3)
    if chance.random() < 0.3:
        arrays.append(("known", np.zeros((chance.choice([1, 18]), 25), np.float32)))
    if chance.random() < 0.2:
        arrays.append(("frame", b"\xff\xd8\xff" + chance.randbytes(30)))
    parts = [bytearray(part) for part in wire.encode(header, arrays)]
    if chance.random() < 0.5:
        part = chance.choice(parts)
        for _ in range(chance.randrange(1, 4)):
            part[chance.randrange(min(len(part), 80))] = chance.randrange(256)
    if chance.random() < 0.2:
        parts = parts[: chance.randrange(1, len(parts) + 1)] + [b""] * chance.randrange(3)
    if chance.random() < 0.1:
        parts = [chance.randbytes(chance.randrange(50)) for _ in range(chance.randrange(1, 5))]
    return [bytes(part) for part in parts]


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_garbage_disturbs_nobody(server, engine, connect, make_picture, count, caplog):
    pictures, chance = game(make_picture, 3), random.Random(0)
    wanted = chunks(Agent(engine, seed=1), pictures)
    client, frame, replies = connect(seed=1), make_picture(0, (8, 8)), 0
    with Raw(server.address) as sender:
        for number in range(count):
            sender.send(*garbage(chance, frame))
            # Each message is answered before many more follow, so that none is refused for haste.
            while sender.socket.poll(30_000 if number - replies > 20 else 0):
                header, _ = wire.decode(sender.socket.recv_multipart())
                assert header["v"] == wire.VERSION
                assert "\n" not in header.get("message", "")
                assert header.get("code") != "internal", header
                replies += 1
            if number % (count // 5) == 0:
                client.reset()
                np.testing.assert_allclose(chunks(client, pictures), wanted, atol=1e-5)
        while replies < count:
            sender.read()
            replies += 1
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


def test_frames_may_be_jpeg_and_of_any_size(connect, make_picture):
    smooth = np.zeros((200, 300, 3), np.uint8)
    smooth[..., 0] = np.arange(200)[:, None]
    smooth[..., 1] = np.arange(300) * 255 // 299
    plain, jpeg = connect(), connect(jpeg=90)
    wanted, found = plain.act(smooth), jpeg.act(smooth)
    plain.reset()
    swapped = plain.act(smooth[..., ::-1])
    assert 0 < np.abs(found - wanted).max() < 0.2 * np.abs(swapped - wanted).max()
    gray = plain.act(smooth[..., 0])
    assert gray.shape == (18, 25)


def test_masks_and_known_actions_travel(engine, connect, make_picture):
    forbidden = {"START", "SOUTH"}
    found = connect(forbid=forbidden).act(make_picture(5))
    wanted = Agent(engine, forbidden=frozenset(forbidden)).act(make_picture(5))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not found[:, [gamepad.BUTTON_INDEX[name] for name in forbidden]].any()
    numbers = np.random.default_rng(0).random((2, 18, 25)).astype(np.float32)
    known = Wanted(*numbers)
    found = connect().act(make_picture(5), known=known)
    wanted = Agent(engine).act(make_picture(5), known=known)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        (np.zeros((4, 4, 2), np.uint8), "bad-frame", r"frame has shape \(4, 4, 2\)"),
        (np.zeros((1, 20_000, 3), np.uint8), "bad-message", "too large"),
        (np.zeros((3,), np.uint8), "bad-frame", "frame has shape"),
    ],
)
def test_a_wrong_frame_is_one_sentence(connect, frame, code, words, make_picture):
    client = connect()
    with pytest.raises(ServerError, match=words) as caught:
        client.act(frame)
    assert caught.value.code == code
    assert client.act(make_picture(0)).shape == (18, 25)


def test_a_frame_of_floats_is_refused_on_both_sides(server, connect):
    with pytest.raises(NitrogenError, match="frame is of type float32"):
        connect().act(np.zeros((4, 4, 3), np.float32))
    with Raw(server.address) as raw:
        raw.ask({"type": "hello", "id": 1})
        frame = np.zeros((4, 4, 3), np.float32)
        reply = raw.ask({"type": "predict", "id": 2}, [("frame", frame)])
    assert reply["code"] == "bad-frame"
    assert "frame is of type float32" in reply["message"]


def test_actions_that_are_not_finite_are_an_error_reply(engine, make_picture, monkeypatch):
    monkeypatch.setattr(engine.sampler, "_run", lambda frames, noise, *_: noise * np.nan)
    with serving(engine) as server, Client(server.address) as client:
        with pytest.raises(ServerError, match="actions are not finite numbers") as caught:
            client.act(make_picture(0))
        assert caught.value.code == "failed"


def test_a_sampler_that_fails_ends_no_server(engine, make_picture, monkeypatch, caplog):
    wanted = Agent(engine).act(make_picture(0))
    with serving(engine) as server, Client(server.address) as client:
        with monkeypatch.context() as patch:
            patch.setattr(engine.sampler, "_run", lambda *_: 1 / 0)
            with pytest.raises(ServerError, match="the server's log says why"):
                client.act(make_picture(0))
        assert "ZeroDivisionError" in caplog.text
        np.testing.assert_allclose(client.act(make_picture(0)), wanted, atol=1e-5)


def test_a_session_has_one_client(server, connect, make_picture):
    first = connect(session="mine")
    with pytest.raises(ServerError, match="session 'mine' belongs to another client") as caught:
        connect(session="mine")
    assert caught.value.code == "session-taken"
    first.close()
    assert connect(session="mine").act(make_picture(0)).shape == (18, 25)


def test_a_peer_of_another_version_is_told_both(server):
    with Raw(server.address) as raw:
        raw.send(msgpack.packb({"v": 2, "type": "hello", "id": 1, "future": []}), b"more")
        reply = raw.read()
    assert reply["code"] == "version"
    assert "version 2 " in reply["message"]
    assert f"version {wire.VERSION}:" in reply["message"]


def test_a_server_of_another_version_is_told_both():
    context = zmq.Context()
    other = context.socket(zmq.ROUTER)
    port = other.bind_to_random_port("tcp://127.0.0.1")

    def reply():
        peer, *_ = other.recv_multipart()
        other.send_multipart([peer, msgpack.packb({"v": 7, "type": "hello", "id": 1})])

    thread = threading.Thread(target=reply)
    thread.start()
    with pytest.raises(NitrogenError, match=f"version 7 .* version {wire.VERSION}:"):
        Client(f"tcp://127.0.0.1:{port}")
    thread.join()
    other.close(0)
    context.term()


def test_nobody_there_is_one_sentence():
    with pytest.raises(ServerSilent, match="no reply from"):
        Client("tcp://127.0.0.1:1", timeout=0.3)
    with pytest.raises(NitrogenError, match="cannot connect to"):
        Client("nowhere")


def test_a_client_outlives_its_server(engine, make_picture):
    pictures = [(step, make_picture(step)) for step in (0, 100, 200)]  # nothing to look back at
    wanted = chunks(Agent(engine, seed=4), pictures)
    with serving(engine) as server:
        port = int(server.address.rpartition(":")[2])
        client = Client(server.address, session="lasting", seed=4, timeout=60)
        found = [client.act(pictures[0][1], 0)]
    timer = threading.Timer(0.5, lambda: began.append(client.act(pictures[1][1], 100)))
    began: list = []
    timer.start()  # asks while nobody is there
    time.sleep(1)
    with serving(engine, Door(port=port)):
        timer.join()
        found += [*began, client.act(pictures[2][1], 200)]
        client.close()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_token_and_keys_keep_strangers_out(engine, make_picture, tmp_path):
    with serving(engine, options=Options(token="a long enough secret")) as server:
        for wrong in (None, "another secret, wrong"):
            with pytest.raises(ServerError, match="needs a token") as caught:
                Client(server.address, token=wrong)
            assert caught.value.code == "unauthorized"
        with Raw(server.address) as raw:
            assert raw.ask({"type": "stats", "id": 1})["code"] == "unknown-session"
        with Client(server.address, token="a long enough secret") as client:
            assert client.act(make_picture(0)).shape == (18, 25)
    keys, mine = tmp_path / "keys", tmp_path / "mine"
    assert binding.make_keys(keys)
    assert not binding.make_keys(keys)
    assert oct((keys / "server.key_secret").stat().st_mode)[-3:] == "600"
    mine.mkdir()
    shutil.copy(keys / "server.key", mine)
    shutil.copy(keys / "clients" / "client.key_secret", mine)
    stranger = tmp_path / "stranger"
    binding.make_keys(stranger)
    shutil.copy(keys / "server.key", stranger)
    shutil.copy(stranger / "clients" / "client.key_secret", stranger)
    with serving(engine, Door(curve=keys)) as server:
        with Client(server.address, curve=mine, timeout=60) as client:
            assert client.act(make_picture(0)).shape == (18, 25)
        for options in ({}, {"curve": stranger}):
            with pytest.raises(ServerSilent):
                Client(server.address, timeout=0.5, **options)


def test_other_machines_are_let_in_by_a_lock_only():
    for address in ("0.0.0.0", "::", "192.0.2.1", "*", "example.org"):
        with pytest.raises(NitrogenError, match="can be reached from other machines"):
            Server(Door(address))
    with pytest.raises(NitrogenError, match=r"cannot listen on 192\.0\.2\.1"):
        Server(Door("192.0.2.1", token="a long enough secret"))


def test_a_port_that_is_taken_is_one_sentence(server):
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(NitrogenError, match=f"port {port} of 127.0.0.1 is taken"):
        Server(Door(port=port))


def test_too_much_is_refused_and_late_is_too_late(engine, make_picture, monkeypatch):
    gate, run = threading.Event(), engine.sampler._run
    monkeypatch.setattr(engine.sampler, "_run", lambda *given: gate.wait(60) and run(*given))
    frame = [("frame", make_picture(0, (8, 8)))]
    with serving(engine, batching=Batching(most_batch=1, queue=3)) as server:
        raws = [Raw(server.address) for _ in range(3)]
        for raw in raws:
            raw.ask({"type": "hello", "id": 0})
        raws[0].send(*wire.encode({"type": "predict", "id": 1}, frame))
        while len(server._waiting) or not server._busy:  # it is with the sampler now
            time.sleep(0.01)
        raws[0].send(*wire.encode({"type": "predict", "id": 2, "deadline_ms": 1}, frame))
        for number in (3, 4):
            raws[1].send(*wire.encode({"type": "predict", "id": number}, frame))
        while len(server._waiting) < 3:
            time.sleep(0.01)
        refused = raws[2].ask({"type": "predict", "id": 5}, frame)
        assert (refused["code"], refused["id"]) == ("busy", 5)
        assert refused["retry_ms"] > 0
        gate.set()
        replies = {one["id"]: one for one in [raws[0].read(), raws[0].read()]}
        assert replies[1]["type"] == "predict"
        assert replies[2]["code"] == "deadline"
        assert [raws[1].read()["id"] for _ in range(2)] == [3, 4]
        with Client(server.address) as client:  # asks again until there is room
            assert client.act(make_picture(0)).shape == (18, 25)
            assert client.stats()["errors"] == {"busy": 1, "deadline": 1}
        for raw in raws:
            raw.close()


def test_what_waits_is_answered_before_the_end(engine, make_picture, monkeypatch):
    gate, run = threading.Event(), engine.sampler._run
    monkeypatch.setattr(engine.sampler, "_run", lambda *given: gate.wait(60) and run(*given))
    frame = [("frame", make_picture(0, (8, 8)))]
    server, stop = Server(Door()), threading.Event()
    arguments = (engine, Options(), Batching(most_batch=1), stop.is_set)
    thread = threading.Thread(target=server.run, args=arguments)
    thread.start()
    with Raw(server.address) as raw:
        raw.ask({"type": "hello", "id": 0})
        for number in (1, 2):
            raw.send(*wire.encode({"type": "predict", "id": number}, frame))
        while not len(server._waiting):
            time.sleep(0.01)
        stop.set()
        while server.state != "ending":
            time.sleep(0.01)
        assert raw.ask({"type": "predict", "id": 3}, frame)["code"] == "ending"
        gate.set()
        assert [raw.read()["id"] for _ in range(2)] == [1, 2]
    thread.join(60)
    assert not thread.is_alive()


def test_sessions_are_bounded_and_given_up_when_silent(engine, make_picture):
    options = Options(most_sessions=2, session_timeout=0.3)
    with serving(engine, options=options) as server:
        first = Client(server.address, session="a", seed=3)
        second = Client(server.address)
        with pytest.raises(ServerError, match="2 sessions, its limit"):
            Client(server.address, timeout=0.1)
        time.sleep(1.5)  # silent for long enough
        third = Client(server.address, session="a", timeout=60)
        with pytest.raises(ServerError, match="belongs to another client"):
            first.act(make_picture(0))  # says hello again, and comes too late
        for client in (first, second, third):
            client.close()


def test_what_is_told_over_http(server, connect, make_picture):
    client = connect()
    client.act(make_picture(0))
    page = StatusPage(0, lambda: server.state, server.metrics.prometheus)
    base = f"http://127.0.0.1:{page.port}"
    try:
        with urllib.request.urlopen(f"{base}/health") as reply:
            assert reply.status == 200
            assert b"serving" in reply.read()
        with urllib.request.urlopen(f"{base}/metrics") as reply:
            text = reply.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/x")
        with pytest.raises(NitrogenError, match=f"port {page.port} "):
            StatusPage(page.port, lambda: "", lambda: "")
    finally:
        page.close()
    parser = pytest.importorskip("prometheus_client.parser")
    found = {family.name: family for family in parser.text_string_to_metric_families(text)}
    chunks = server.metrics.chunks
    assert {one.value for one in found["nitrogen_seconds"].samples if "count" in one.name} == {
        chunks
    }
    assert found["nitrogen_batch_size"].type == "histogram"
    by_type = {one.labels["type"]: one.value for one in found["nitrogen_requests"].samples}
    assert by_type["predict"] >= 1
    assert {"nitrogen_queue", "nitrogen_sessions"} <= found.keys()
    stats = client.stats()
    assert stats["chunks"] == chunks
    assert 0 < stats["latency_ms"]["infer"]["p50"] <= stats["latency_ms"]["total"]["p99"]
    assert client.info()["horizon"] == 18
