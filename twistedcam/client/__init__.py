"""The viewer's side."""
