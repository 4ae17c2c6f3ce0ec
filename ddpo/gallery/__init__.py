"""Samples and rewards of a run, as a folder that opens in a browser."""

from ddpo.gallery.writing import write_gallery

__all__ = ["write_gallery"]
