"""
Cameras: a picture is taken here, encoded, and published to the hubs of one camera.

L{service} is where to begin: it decides when a camera is open, and L{attempt} runs it in a thread of its own.
"""
