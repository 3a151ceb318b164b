"""
Cameras: a picture is taken here, encoded, and published to the hubs of one camera.

L{service} begins: it decides when a camera is open, and L{attempt} runs it in a thread of its own.
"""
