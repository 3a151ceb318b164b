"""
The tutorial's server, rewritten: it sends one viewer pickled arrays as fast as it takes them, about 30 a second.

usage: tutorial_server.py [PREFIX [KIND]]; prints the port it listens on. It takes one viewer after another, until
killed. PREFIX is the form of the lengths, as struct has it; KIND is array, or jpeg for the pickle of cv2.imencode's
result.
"""

import pickle
import socket
import struct
import sys
import time

import cv2
import imutils
import numpy as np


def main(prefix: str = "Q", kind: str = "array") -> None:
    """Serve a picture that changes, in place of the camera's."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.listen(5)
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        count = 0
        try:
            while True:
                frame = np.full((480, 640, 3), count % 256, np.uint8)
                frame = imutils.resize(frame, width=320)
                payload = pickle.dumps(frame if kind == "array" else cv2.imencode(".jpg", frame)[1])
                connection.sendall(struct.pack(prefix, len(payload)) + payload)
                count += 1
                time.sleep(1 / 30)
        except OSError:
            connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
