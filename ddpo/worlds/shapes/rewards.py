"""The world's own reward: is the picture what the caption says?

It is declared here and computed in `judging.py`: to list rewards takes no tensor library.
"""

from typing import Any

from rewards import reward


@reward(
    "shapes_accuracy",
    modality="image",
    needs_prompt=True,
    range=(0.0, 1.0),
    unit="fraction of captions satisfied",
    deterministic=True,
    differentiable=False,
)
class ShapesAccuracy:
    """1 where the picture shows all that the caption states, 0 where it does not.

    A prompt outside the grammar of the shapes world, or a picture that is not 64 pixels a side,
    cannot be judged: its reward is NaN, with the reason.

    Args:
        partial: Give the fraction of the caption's statements that hold, in [0, 1], instead.
    """

    def __init__(self, partial: bool = False) -> None:
        self.partial = partial

    def __call__(self, images: Any, prompts: list[str]) -> Any:
        """Judge each picture `[B, 3, 64, 64]`, with pixels in [0, 1], by its own caption."""
        from ddpo.worlds.shapes.judging import judge

        return judge(images, prompts, partial=self.partial)
