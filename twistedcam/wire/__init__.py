"""The wire: bytes, and the messages in them."""
