"""
PyAV, imported after OpenCV.

Both bring X libraries of their own under the same names: with PyAV's loaded first, a window of OpenCV's hangs.
"""

from __future__ import annotations

import cv2  # isort: skip
import av  # isort: skip
from av.video.reformatter import VideoReformatter  # isort: skip

__all__ = ["VideoReformatter", "av", "cv2"]
