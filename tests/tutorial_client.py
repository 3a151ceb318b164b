"""
The tutorial's client, rewritten: it sends nothing, reads 4096 bytes at a time, and unpickles what it is sent.

usage: tutorial_client.py HOST PORT FRAMES; prints each array's shape and type.
"""

import pickle
import socket
import struct
import sys


def main() -> None:
    """Read as the tutorial does, including how it joins bytes."""
    host, port, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.connect((host, port))
    received = b""
    prefix_size = struct.calcsize("Q")
    for _ in range(frames):
        while len(received) < prefix_size:
            packet = connection.recv(4 * 1024)
            if not packet:
                sys.exit("the server closed the connection")
            received += packet
        size = struct.unpack("Q", received[:prefix_size])[0]
        received = received[prefix_size:]
        while len(received) < size:
            received += connection.recv(4 * 1024)
        image = pickle.loads(received[:size])
        received = received[size:]
        print(image.shape, image.dtype, int(image.mean()), flush=True)
    connection.close()


if __name__ == "__main__":
    main()
