"""Pictures in records: what is encoded is seen again, damage never passes for a picture."""

from __future__ import annotations

import contextlib
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError

pytest.importorskip("av")
from nitrogen_jax.data.stored_frames import CODECS, GOP, Undecodable, decode, encode

COUNT = 2 * GOP + 5


def moving(count=COUNT, height=48, width=64, phase=0.0):
    """Waves that move (count, height, width, 3) uint8."""
    t, y, x = np.ogrid[:count, :height, :width]
    t = t + phase
    waves = [80 * np.sin((x + 3 * t) / 9 + c) + 40 * np.cos((y - 2 * t) / 7 + c) for c in range(3)]
    return np.rint(128 + np.stack(waves, -1)).clip(0, 255).astype(np.uint8)


def psnr(one, other):
    """Decibels of two arrays of pictures."""
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


@pytest.fixture(scope="module")
def stream():
    """An H.264 stream: packets, key frames, and its pictures by number as they are decoded."""
    packets, keys = encode("h264", moving())
    return packets, keys, decode("h264", packets, keys, range(COUNT))


def assert_pictures(found, wanted, numbers):
    assert list(found) == sorted(set(numbers))
    for at, picture in found.items():
        np.testing.assert_array_equal(picture, wanted[at])


# ---------------------------------------------------------------------------------------------
# What is encoded is seen again


@pytest.mark.parametrize(("codec", "decibels"), [("jpeg", 40), ("h264", 32)])
@pytest.mark.parametrize("size", [(48, 64), (256, 256), (16, 16), (34, 18)])
def test_pictures_look_the_same(codec, decibels, size):
    pictures = moving(20, *size)
    found = decode(codec, *encode(codec, pictures), range(20))
    for at, picture in found.items():
        assert picture.shape == (*size, 3)
        assert picture.dtype == np.uint8
        # Of a small picture, a large part lies at its edge.
        assert psnr(picture, pictures[at]) > decibels - (10 if min(size) < 32 else 0)


@pytest.mark.parametrize("codec", CODECS)
def test_channels_are_red_green_blue(codec):
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [0, 0, 0], [255, 255, 255]])
    pictures = [np.full((32, 32, 3), colour, np.uint8) for colour in colours]
    found = decode(codec, *encode(codec, pictures), range(5))
    for at, colour in enumerate(colours):
        assert abs(found[at].astype(int) - colour).max() <= 6


def test_h264_follows_motion_and_cuts():
    """A scene change inside a group of pictures, and noise, do not shift pictures."""
    pictures = [*moving(7), *moving(9, phase=100), *255 - moving(6)]
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    packets, keys = encode("h264", [*pictures, *noise])
    found = decode("h264", packets, keys, range(len(pictures)))
    for at, picture in enumerate(pictures):
        assert psnr(found[at], picture) > 30


@pytest.mark.parametrize("count", [0, 1, 2, GOP - 1, GOP, GOP + 1, 3 * GOP])
def test_one_packet_for_each_picture(count):
    packets, keys = encode("h264", moving(count, 16, 16))
    assert len(packets) == count
    assert keys.dtype == np.int32
    np.testing.assert_array_equal(keys, np.arange(0, count, GOP))
    assert list(decode("h264", packets, keys, range(count))) == list(range(count))


def test_every_jpeg_is_a_key_frame():
    packets, keys = encode("jpeg", moving(5))
    assert len(packets) == 5
    assert keys.dtype == np.int32
    np.testing.assert_array_equal(keys, range(5))
    assert all(packet[:2] == b"\xff\xd8" for packet in packets)
    packets, keys = encode("jpeg", [])
    assert (packets, keys.tolist()) == ((), [])


def test_h264_takes_less_room():
    sizes = [sum(map(len, encode(codec, moving(60, 128, 128))[0])) for codec in CODECS]
    assert sizes[1] < sizes[0] / 3


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_bytes_each_time(codec):
    first = encode(codec, moving())
    encode(codec, moving(phase=50))
    again = encode(codec, iter(list(moving())))
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_may_be_views(codec):
    pictures = moving()
    views = np.ascontiguousarray(pictures[:, ::-1, ::-1])[:, ::-1, ::-1]
    assert encode(codec, views)[0] == encode(codec, pictures)[0]


# ---------------------------------------------------------------------------------------------
# Some of them


@settings(max_examples=40)
@given(wanted=st.lists(st.integers(0, COUNT - 1), max_size=12))
def test_some_are_as_in_all(stream, wanted):
    packets, keys, pictures = stream
    assert_pictures(decode("h264", packets, keys, wanted), pictures, wanted)


def test_no_more_is_decoded_than_needed(stream):
    """What is not needed may be broken, or not there."""
    packets, keys, pictures = stream
    wanted = [GOP + 2, GOP + 4]
    needed = range(GOP, GOP + 5)
    holes = [packet if at in needed else b"broken" for at, packet in enumerate(packets)]
    assert_pictures(decode("h264", holes, keys, wanted), pictures, wanted)
    jpegs, every = encode("jpeg", moving(4))
    assert list(decode("jpeg", [b"", jpegs[1], b"", b""], every, [1])) == [1]


def test_decoding_begins_at_any_key_frame(stream):
    """Parameter sets are repeated: packets before a key frame can be dropped."""
    packets, keys, pictures = stream
    for key in keys.tolist():
        # A thread has a decoder of its own, which knows nothing of this stream.
        found = in_a_thread(lambda key=key: decode("h264", packets[key:], keys[:1], [0, 3]))
        assert_pictures(found, {0: pictures[key], 3: pictures[key + 3]}, [0, 3])


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_streams_of_different_sizes_in_turn(stream):
    others = [encode("h264", moving(5, *size)) for size in ((16, 32), (64, 64), (32, 16))]
    alone = [in_a_thread(lambda one=one: decode("h264", *one, range(5))) for one in others]
    packets, keys, pictures = stream
    for _ in range(2):
        for one, wanted in zip(others, alone, strict=True):
            assert_pictures(decode("h264", *one, [1, 4]), wanted, [1, 4])
            assert_pictures(decode("h264", packets, keys, [20]), pictures, [20])


def test_threads_do_not_disturb_each_other():
    streams = [encode("h264", moving(COUNT, phase=10 * n)) for n in range(3)]
    wanted = [decode("h264", *one, range(COUNT)) for one in streams]
    faults, start = [], threading.Barrier(len(streams))

    def work(number):
        draw = random.Random(number)
        start.wait()
        for _ in range(25):
            numbers = draw.sample(range(COUNT), 3)
            try:
                found = decode("h264", *streams[number], numbers)
                assert_pictures(found, wanted[number], numbers)
            except BaseException as error:
                faults.append(error)
                raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


# ---------------------------------------------------------------------------------------------
# Damage


def replaced(packets, at, data):
    return [*packets[:at], data, *packets[at + 1 :]]


@pytest.mark.parametrize("at", [0, 3, GOP, GOP + 1])
@pytest.mark.parametrize(
    "data", [b"", b"\0", b"garbage" * 20, bytes(100), b"\0\0\0\1\x65", b"\0\0\0\1\x41\x9a"]
)
def test_garbage_is_no_picture(stream, at, data):
    packets, keys, pictures = stream
    bad = replaced(packets, at, data)
    start = at // GOP * GOP
    with pytest.raises(Undecodable, match=rf"^pictures {start} to {at + 2} of it cannot be"):
        decode("h264", bad, keys, [at + 2])
    # The decoder goes on as if nothing had been.
    assert_pictures(decode("h264", packets, keys, [at, 30]), pictures, [at, 30])
    other = (start + GOP) % (2 * GOP) + 1
    assert_pictures(decode("h264", bad, keys, [other]), pictures, [other])


def noticed(stream, at, data) -> bool:
    """Whether a picture whose packet holds something else is refused, and all after it."""
    packets, keys, _ = stream
    try:
        decode("h264", replaced(packets, at, data), keys, [at])
    except Undecodable:
        with pytest.raises(Undecodable):
            decode("h264", replaced(packets, at, data), keys, [at + 2])
        return True
    return False


# Files of records carry check sums; the following is what the decoder notices of itself.


@pytest.mark.parametrize("at", [0, 1, 5, GOP + 3])
def test_most_packets_that_were_cut_off_are_noticed(stream, at):
    packets, keys, pictures = stream
    lengths = range(0, len(packets[at]) - 8, 1 + len(packets[at]) // 60)
    found = [noticed(stream, at, packets[at][:length]) for length in lengths]
    assert np.mean(found) > 0.85
    assert_pictures(decode("h264", packets, keys, [at]), pictures, [at])


def test_most_changed_bytes_are_noticed(stream):
    packets, keys, pictures = stream
    draw, found = random.Random(0), []
    for _ in range(80):
        at = draw.randrange(1, GOP - 2)
        packet = bytearray(packets[at])
        packet[draw.randrange(6, len(packet))] ^= draw.randrange(1, 256)
        found.append(noticed(stream, at, bytes(packet)))
    assert np.mean(found) > 0.6
    assert_pictures(decode("h264", packets, keys, range(COUNT)), pictures, range(COUNT))


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_the_packets_are(stream, data):
    """Pictures of the right numbers, or Undecodable; the decoder is as good as new after it."""
    packets, keys, pictures = stream
    bad = list(packets)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, COUNT - 1))
        bad[at] = data.draw(st.binary(max_size=60) | st.sampled_from(packets))
    wanted = data.draw(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=5))
    numbers = st.lists(st.integers(-5, COUNT + 5), max_size=4)
    some = data.draw(st.just(keys) | numbers.map(lambda n: np.array(n, np.int32)))
    with contextlib.suppress(Undecodable):
        found = decode("h264", bad, some, wanted)
        assert list(found) == sorted(set(wanted))
        assert all(one.ndim == 3 and one.dtype == np.uint8 for one in found.values())
    assert_pictures(decode("h264", packets, keys, [20]), pictures, [20])


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\xd8\xff", b"\0" * 100])
def test_broken_jpeg(data):
    packets, keys = encode("jpeg", moving(3))
    with pytest.raises(Undecodable, match=r"^picture 1 of it cannot be decoded$"):
        decode("jpeg", replaced(packets, 1, data), keys, [0, 1])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_jpeg_that_was_cut_off(share):
    packets, keys = encode("jpeg", moving(1))
    with pytest.raises(Undecodable):
        decode("jpeg", [packets[0][: int(len(packets[0]) * share)]], keys, [0])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("wanted", "named"), [([-1, 2], -1), ([0, 5], 5), ([4, 99], 99)])
def test_pictures_that_are_not_there(codec, wanted, named):
    packets, keys = encode(codec, moving(5))
    message = f"^picture {named} is not among the 5 stored$"
    with pytest.raises(Undecodable, match=message):
        decode(codec, packets, keys, wanted)
    assert decode(codec, packets, keys, []) == {}


@pytest.mark.parametrize("keys", [[], [3], [3, 20]])
def test_no_key_frame_before(stream, keys):
    packets, _, _ = stream
    with pytest.raises(Undecodable, match="no key frame comes before picture 2 of it"):
        decode("h264", packets, np.array(keys, np.int32), [2])


@pytest.mark.parametrize("key", [1, 5, GOP + 3])
def test_what_is_said_to_be_a_key_frame_and_is_none(stream, key):
    packets, _, _ = stream
    with pytest.raises(Undecodable):
        in_a_thread_raising(lambda: decode("h264", packets, np.array([key], np.int32), [key + 2]))
    with pytest.raises(Undecodable):
        decode("h264", packets, np.array([key], np.int32), [key])


def in_a_thread_raising(function):
    def caught():
        try:
            return function()
        except Exception as error:
            return error

    found = in_a_thread(caught)
    if isinstance(found, Exception):
        raise found
    return found


# ---------------------------------------------------------------------------------------------
# Bad input


def test_unknown_codec():
    with pytest.raises(NitrogenError, match="codec 'gif' is not one of jpeg, h264"):
        encode("gif", moving(1))
    with pytest.raises(Undecodable, match="codec 'gif' is not one of jpeg, h264"):
        decode("gif", [b""], np.zeros(1, np.int32), [0])


@pytest.mark.parametrize(
    ("codec", "picture"),
    [
        *((codec, np.zeros((8, 8, 3), np.float32)) for codec in CODECS),
        *((codec, np.zeros((8, 8), np.uint8)) for codec in CODECS),
        *((codec, np.zeros((8, 8, 4), np.uint8)) for codec in CODECS),
        *((codec, np.zeros((0, 8, 3), np.uint8)) for codec in CODECS),
    ],
)
def test_what_is_no_picture(codec, picture):
    with pytest.raises(NitrogenError, match=rf"picture 0 is {picture.dtype} \("):
        encode(codec, [picture])


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_of_two_sizes(codec):
    with pytest.raises(NitrogenError, match=r"picture 2 is uint8 \(16, 16, 3\), where"):
        encode(codec, [*moving(2, 32, 32), *moving(1, 16, 16)])


@pytest.mark.parametrize("size", [(17, 16), (16, 17), (33, 35)])
def test_odd_sizes(size):
    with pytest.raises(NitrogenError, match=rf"{size[1]} x {size[0]} pixels, where H.264 needs"):
        encode("h264", moving(1, *size))
    found = decode("jpeg", *encode("jpeg", moving(2, *size)), [1])
    assert found[1].shape == (*size, 3)


def test_an_error_among_the_pictures_is_passed_on():
    def pictures():
        yield moving(1)[0]
        raise OSError("gone")

    for codec in CODECS:
        with pytest.raises(OSError, match="gone"):
            encode(codec, pictures())
