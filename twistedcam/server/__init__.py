"""The server's half of the wire."""
