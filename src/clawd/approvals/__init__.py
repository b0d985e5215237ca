"""What needs a yes or an answer of the human: asked, kept, settled."""
