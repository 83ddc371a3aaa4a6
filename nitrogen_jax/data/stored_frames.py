"""Pictures as they lie in a record: JPEG files, or the packets of an H.264 stream.

JPEG takes seven times the room and any picture of it can be read alone. In H.264 every
`GOP`-th picture is a key frame, from which the ones after it are decoded in order; there are no
B-frames, so that packet j is picture j. Parameter sets are repeated at every key frame: decoding
can begin at each of them, with nothing but the packets.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from nitrogen_jax.data import images
from nitrogen_jax.data.colours import BT709, LIMITED, FromRGB, ToRGB
from nitrogen_jax.data.video_write import REPEATABLE
from nitrogen_jax.errors import NitrogenError

CODECS = ("jpeg", "h264")
JPEG_QUALITY = 90
CRF, GOP, PRESET = 20, 16, "faster"


class Undecodable(Exception):
    """Stored pictures that cannot be read; the text says which, in a few words."""


def encode(codec: str, pictures: Iterable[np.ndarray]) -> tuple[tuple[bytes, ...], np.ndarray]:
    """Pictures (H, W, 3) uint8 RGB, all of one size -> their bytes, and which are key frames.

    Returns:
        One bytes object for each picture, and (K,) int32 ascending: the pictures at which
        decoding can begin.
    """
    if codec == "jpeg":
        packets = tuple(map(_to_jpeg, _checked(pictures, 1)))
        return packets, np.arange(len(packets), dtype=np.int32)
    if codec == "h264":
        return _to_h264(_checked(pictures, 2))
    raise NitrogenError(f"codec {codec!r} is not one of {', '.join(CODECS)}")


def _checked(pictures: Iterable[np.ndarray], multiple: int) -> Iterator[np.ndarray]:
    """The same pictures; an encoder would scale those of another size without a word."""
    size = None
    for at, picture in enumerate(pictures):
        size = size or picture.shape[:2]
        if picture.dtype != np.uint8 or picture.shape != (*size, 3) or 0 in picture.shape:
            raise NitrogenError(
                f"picture {at} is {picture.dtype} {picture.shape}, where uint8 (height, width, 3) "
                "of one size are needed"
            )
        if any(side % multiple for side in size):
            raise NitrogenError(
                f"pictures are {size[1]} x {size[0]} pixels, where H.264 needs even numbers"
            )
        yield picture


def decode(
    codec: str, packets: Sequence[bytes], key_frames: np.ndarray, wanted: Collection[int]
) -> dict[int, np.ndarray]:
    """Picture number -> (H, W, 3) uint8 RGB, for the wanted ones; decodes no more than it must.

    Raises:
        Undecodable: if one of them cannot be read.
    """
    wanted = sorted(set(wanted))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < len(packets):
        beyond = wanted[0] if wanted[0] < 0 else wanted[-1]
        raise Undecodable(f"picture {beyond} is not among the {len(packets)} stored")
    if codec == "jpeg":
        return {at: _from_jpeg(packets[at], at) for at in wanted}
    if codec == "h264":
        return _from_h264(packets, key_frames, wanted)
    raise Undecodable(f"codec {codec!r} is not one of {', '.join(CODECS)}")


# ---------------------------------------------------------------------------------------------
# JPEG


def _to_jpeg(picture: np.ndarray) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _from_jpeg(data: bytes, at: int) -> np.ndarray:
    picture = images.decode(data)
    if picture is None:
        raise Undecodable(f"picture {at} of it cannot be decoded")
    return picture


# ---------------------------------------------------------------------------------------------
# H.264


def _to_h264(pictures: Iterable[np.ndarray]) -> tuple[tuple[bytes, ...], np.ndarray]:
    encoder, packets, from_rgb = None, [], FromRGB()
    for at, picture in enumerate(pictures):
        encoder = encoder or _encoder(*picture.shape[1::-1])
        frame = from_rgb(picture)
        frame.pts = at
        packets += encoder.encode(frame)
    packets += encoder.encode(None) if encoder else []
    keys = [at for at, packet in enumerate(packets) if packet.is_keyframe]
    return tuple(map(bytes, packets)), np.array(keys, np.int32)


def _encoder(width: int, height: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    # The rate only steers the encoder's choices; records state their own.
    encoder.time_base, encoder.framerate = Fraction(1, 15), Fraction(15)
    encoder.color_primaries = encoder.color_trc = encoder.colorspace = BT709
    encoder.color_range = LIMITED
    # One thread: the same bytes each time, and one worker for each core anyway.
    encoder.thread_count = 1
    encoder.gop_size, encoder.max_b_frames = GOP, 0
    fixed = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0"
    alone = "repeat-headers=1:annexb=1:threads=1:lookahead-threads=1"
    params = ":".join([fixed, alone, *REPEATABLE.values()])
    encoder.options = {"crf": str(CRF), "preset": PRESET, "x264-params": params}
    return encoder


class _Decoder(threading.local):
    """One for each thread: a new one for each run of pictures costs more than its decoding."""

    def __init__(self):
        self.codec = av.CodecContext.create("h264", "r")
        self.codec.thread_count = 1
        self.to_rgb = ToRGB()


_DECODER = _Decoder()


def _from_h264(
    packets: Sequence[bytes], key_frames: np.ndarray, wanted: list[int]
) -> dict[int, np.ndarray]:
    decoder, to_rgb = _DECODER.codec, _DECODER.to_rgb
    found: dict[int, np.ndarray] = {}
    for start, group in _by_key_frame(np.asarray(key_frames), wanted):
        decoder.flush_buffers()
        at = start
        try:
            for packet in (*packets[start : group[-1] + 1], None):
                for frame in decoder.decode(None if packet is None else av.Packet(packet)):
                    if frame.is_corrupt:  # the decoder paints over damage and goes on
                        raise Undecodable(f"picture {at} of it is damaged")
                    if at in group:
                        found[at] = to_rgb(frame)
                    at += 1
        except av.FFmpegError:
            at = start
        if at != group[-1] + 1:
            raise Undecodable(f"pictures {start} to {group[-1]} of it cannot be decoded")
    return found


def _by_key_frame(keys: np.ndarray, wanted: list[int]) -> Iterable[tuple[int, list[int]]]:
    """(key frame, the wanted pictures that are decoded from it), in order."""
    groups: dict[int, list[int]] = {}
    for at in wanted:
        before = int(np.searchsorted(keys, at, side="right")) - 1
        if before < 0:
            raise Undecodable(f"no key frame comes before picture {at} of it")
        groups.setdefault(int(keys[before]), []).append(at)
    return groups.items()
