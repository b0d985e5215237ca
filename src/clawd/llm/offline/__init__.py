"""The model that is built in: rules instead of a network, behind the same wire format."""
