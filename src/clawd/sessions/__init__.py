"""Sessions: identity, transcript, and the actor that runs one turn at a time."""
