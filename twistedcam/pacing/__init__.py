"""Back-pressure: how fast, and how large, the pictures for one viewer are."""
