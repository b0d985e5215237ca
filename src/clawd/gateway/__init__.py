"""The one edge: HTTP over the local socket."""
