"""The application: configuration, the wiring of the rooms into a server, and the process it runs in."""
