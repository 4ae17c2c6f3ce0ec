"""Samples and rewards of a run, as one static page."""

from ddpo.gallery.page import write_gallery

__all__ = ["write_gallery"]
