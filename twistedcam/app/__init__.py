"""The application: configuration, how the parts are put together, and the process it runs in."""
