"""The web face: who watches over HTTP."""
