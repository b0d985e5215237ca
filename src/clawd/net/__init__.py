"""The one way out to other hosts: addresses checked, connections pinned, sizes bounded."""
