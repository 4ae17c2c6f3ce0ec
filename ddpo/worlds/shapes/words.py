"""The words of the world, and what each of them looks like."""

import numpy as np

IMAGE_SIZE = 64

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 20, 30),
    "green": (20, 165, 50),
    "blue": (40, 90, 255),
    "yellow": (255, 230, 30),
    "orange": (255, 130, 0),
    "purple": (140, 30, 200),
    "pink": (255, 130, 200),
    "cyan": (20, 220, 230),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
    "brown": (100, 60, 25),
    "navy": (10, 15, 85),
}
RADII = {"small": 8.5, "large": 11.5}
SIZE_BOUNDARY = 9.9  # the geometric mean of the two radii: what is below it is small
RELATIONS = ("left of", "above")
# A lone thing stands at one of these, which a caption may name.
POSITIONS: dict[str, tuple[float, float]] = {
    "at the left": (17.0, 32.0),
    "at the right": (47.0, 32.0),
    "at the top": (32.0, 17.0),
    "at the bottom": (32.0, 47.0),
    "in the center": (32.0, 32.0),
}


def _ring(count: int, radius: float, phase: float = -0.25) -> np.ndarray:
    """`count` points on a circle, the first at `phase` turns (-0.25 is straight up)."""
    angles = 2 * np.pi * (phase + np.arange(count) / count)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star(outer: float, inner: float) -> np.ndarray:
    points = _ring(10, 1.0)
    return points * np.where(np.arange(10) % 2, inner, outer)[:, None]


def _cross(reach: float, half_width: float) -> np.ndarray:
    r, w = reach, half_width
    quadrant = np.array([[w, -r], [w, -w], [r, -w]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # a quarter turn of row vectors
    return np.concatenate([quadrant @ np.linalg.matrix_power(turn, k) for k in range(4)])


# Outlines of radius about 1 around their centroid; y grows downwards.
SHAPES: dict[str, np.ndarray] = {
    "circle": _ring(48, 1.0),
    "square": _ring(4, 0.9 * 2**0.5, phase=0.125),
    "triangle": _ring(3, 1.2),
    "diamond": _ring(4, 1.15),
    "star": _star(1.2, 0.5),
    "cross": _cross(1.1, 0.36),
}
