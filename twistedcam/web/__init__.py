"""The web server: a page, streams, pictures, state and metrics."""
