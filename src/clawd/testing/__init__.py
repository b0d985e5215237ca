"""For people who test tools, agents and clients: a scripted model server."""
