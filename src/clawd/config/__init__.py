"""The configuration: from the text of ``config.json`` to frozen settings, or every problem.

`schema` says what may be written, `loader` reads and checks a file, `keys` resolves key
references, `watch` reports edits, `output` writes settings back out with keys hidden.
"""
