"""
PyAV, imported after OpenCV.

Both bring X libraries of their own under the same names: with PyAV's loaded first, a window of OpenCV's hangs.
"""

from __future__ import annotations

import cv2  # isort: skip
import av  # isort: skip
from av.video.reformatter import VideoReformatter  # isort: skip

__all__ = ["OPEN_TOLERANTLY", "VideoReformatter", "av", "cv2"]

# Keywords of av.open, by which bytes in a file's title that are no text are no error; PyAV 19 does so without.
OPEN_TOLERANTLY = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
