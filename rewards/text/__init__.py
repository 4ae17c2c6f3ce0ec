"""Rewards of texts. A prompt's completion is the text; only `classifier` needs a tensor library."""
