"""The wire protocol: bytes become messages, and messages bytes."""
