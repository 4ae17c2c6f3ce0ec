"""Samples and rewards of a run, as a folder that opens in a browser, and as pictures."""

from ddpo.gallery.stills.writing import write_animation, write_figure, write_strip
from ddpo.gallery.writing import write_gallery

__all__ = ["write_animation", "write_figure", "write_gallery", "write_strip"]
