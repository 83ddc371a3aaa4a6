"""RGB out of decoded frames and into frames to encode, by the right matrix and range.

Numbers are FFmpeg's, which PyAV takes.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import VideoReformatter

BT709, BT601 = 1, 5  # matrices; 1 names BT.709's primaries and transfer too
LIMITED, FULL = 1, 2  # ranges

# The matrix a stream is tagged with -> the one to convert with. Others are BT.601's.
_MATRICES = {1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9, 10: 9}


class ToRGB:
    """Converts the frames of a stream."""

    def __init__(self):
        # NOTE: a reformatter may go on with the colours of its first frame, so there is one each.
        self._reformatters: dict[tuple[int, int], VideoReformatter] = {}

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8."""
        if frame.format.is_rgb:
            return frame.to_ndarray(format="rgb24")
        matrix = _MATRICES.get(int(frame.colorspace), BT601)
        full = int(frame.color_range) == FULL or frame.format.name.startswith("yuvj")
        key = matrix, FULL if full else LIMITED
        if key not in self._reformatters:
            self._reformatters[key] = VideoReformatter()
        return (
            self._reformatters[key]
            .reformat(
                frame,
                format="rgb24",
                src_colorspace=matrix,
                src_color_range=key[1],
                # NOTE: RGB has no matrix, but PyAV 16 ignores the source's where both are equal.
                dst_colorspace=BT601 if matrix != BT601 else BT709,
                dst_color_range=FULL,
            )
            .to_ndarray()
        )


class FromRGB:
    """Makes BT.709 limited yuv420p frames of pictures."""

    def __init__(self):
        self._reformatter = VideoReformatter()

    def __call__(self, picture: np.ndarray) -> av.VideoFrame:
        """From (H, W, 3) uint8; H and W are even."""
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"),
            format="yuv420p",
            src_colorspace=BT601,  # has to be another, as above
            src_color_range=FULL,
            dst_colorspace=BT709,
            dst_color_range=LIMITED,
        )
