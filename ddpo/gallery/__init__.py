"""Samples and rewards of a run, or of several, as a folder for a browser or as a picture."""

from ddpo.gallery.comparison.writing import write_comparison
from ddpo.gallery.stills.writing import write_animation, write_figure, write_strip
from ddpo.gallery.writing import write_gallery

__all__ = ["write_animation", "write_comparison", "write_figure", "write_gallery", "write_strip"]
