"""Rewards of images `[B, 3, H, W]` float in [0, 1]: one model, or one idea, per file."""
