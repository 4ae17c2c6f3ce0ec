"""Samples and rewards of a run, or of several side by side, as a folder that opens in a browser."""

from ddpo.gallery.comparison.writing import write_comparison
from ddpo.gallery.writing import write_gallery

__all__ = ["write_comparison", "write_gallery"]
