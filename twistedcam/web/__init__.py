"""The viewers over HTTP: a page, streams, pictures, state and metrics."""
