"""The viewer: the client's side of the wire protocol, and what is done with the frames."""
