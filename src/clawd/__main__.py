"""``python -m clawd``: the same as the command ``clawd``."""

from __future__ import annotations

import sys

from clawd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
