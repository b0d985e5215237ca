"""The checks of ``clawd doctor``, by what they look at."""
