"""Rewards: named functions that give every sample a number, where higher is better.

Importing this package, and listing what it knows, loads no model and no tensor library.

    import rewards

    compressible = rewards.make("jpeg_compressibility", quality=90)
    kilobytes = compressible(images, prompts)
"""

from rewards.definition import Definition, Weights
from rewards.errors import RewardError, UnavailableError
from rewards.explained import Explained
from rewards.registry import definition, make, names, reward

__all__ = [
    "Definition",
    "Explained",
    "RewardError",
    "UnavailableError",
    "Weights",
    "definition",
    "make",
    "names",
    "reward",
]
