"""The operator's own tools: Python functions that `tools.load` names."""
