"""PyAV's errors in plain words, without the URL that their own texts contain."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

from twistedcam.libav import av

_BY_TYPE: tuple[tuple[type[Exception], str], ...] = (
    (av.error.HTTPUnauthorizedError, "asks for a user name and password, or those given are wrong (401)"),
    (av.error.HTTPForbiddenError, "does not allow it: are the user name and password right? (403)"),
    (av.error.HTTPNotFoundError, "has nothing at this path: check the part after the host (404)"),
    (av.error.HTTPBadRequestError, "does not understand the request: check the URL (400)"),
    (av.error.HTTPServerError, "fails with an error of its own (5xx)"),
    (av.error.HTTPClientError, "refuses the request (4xx)"),
    (av.error.ConnectionRefusedError, "refuses the connection: is it running, and is the port right?"),
    (av.error.ConnectionResetError, "has closed the connection"),
    (av.error.BrokenPipeError, "has closed the connection"),
    (av.error.ProtocolNotFoundError, "has a scheme that cannot be read here: write rtsp://, rtmp:// or http://"),
    (av.error.DemuxerNotFoundError, "has a format that cannot be read here"),
    (av.error.DecoderNotFoundError, "has a video encoding that cannot be read here"),
    (av.error.FileNotFoundError, "does not exist"),
    (av.error.PermissionError, "may not be read"),
    (av.error.PatchWelcomeError, "has a format that cannot be read here"),
    (av.error.EOFError, "ends before its first picture"),
    (ValueError, "is not a video, or damaged"),  # among others, InvalidDataError
)
_TIMEOUTS = (av.error.ExitError, av.error.TimeoutError)


def explain(error: Exception, opened: str, seconds: float, limit: float) -> str:
    """
    Why opening or reading failed with C{error} after C{seconds}: a predicate, such as C{"refuses the connection"}.

    C{opened} is the URL or path, which is not in the result; C{limit} are the seconds after which PyAV gives up.
    """
    # A read that is given up ends as whatever the protocol makes of it: RTSP and TLS report damaged data.
    if isinstance(error, _TIMEOUTS) or (seconds >= 0.95 * limit and "://" in opened):
        return f"has not answered for {limit:.0f} s"
    for kind, words in _BY_TYPE:
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError) and "://" in opened:
        return _explain_network(error, opened)
    if getattr(error, "errno", None) == errno.EINVAL:  # a seek before the start of a file that is too short
        return "is not a video, or damaged"
    # The text of an error ends with the name of the file or URL; its reason does not.
    return f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"


def _explain_network(error: OSError, url: str) -> str:
    """FFmpeg reports all that goes wrong before the first byte as an input/output error."""
    parts = urlsplit(url)
    try:
        socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return "is at a host that cannot be found: check its name"
    if parts.scheme in ("https", "rtsps", "rtmps", "tls"):
        return "does not answer by TLS: check the scheme and the port"
    if error.errno == errno.EIO:
        return "answers, but not with a video"
    return f"cannot be reached: {error.strerror}"
