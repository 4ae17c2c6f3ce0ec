"""From numbers to coordinates, and the round numbers to label an axis with."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Spelt out, because checked annotations do not take an int for a float.
Number = int | float


@dataclass(frozen=True)
class Scale:
    """A linear map from `low..high` in the data to `start..end` in the drawing."""

    low: Number
    high: Number
    start: Number
    end: Number

    def at(self, value: Number) -> Number:
        """Return the coordinate of `value`."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def widened(low: Number, high: Number, share: Number, alone: Number) -> tuple[Number, Number]:
    """Add `share` of the range at both ends; a single value gets `alone` on either side."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return low - alone, high + alone
    return low - share * (high - low), high + share * (high - low)


def ticks(low: Number, high: Number, count: int = 6, whole: bool = False) -> list[Number]:
    """Return round numbers in `low..high`, a step of 1, 2 or 5 times a power of ten apart.

    There are at most `count + 1` of them; with `whole`, all are integers.
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    # The slack keeps a step of exactly 2 from becoming 5 through rounding.
    step = next(m * power for m in (1, 2, 5, 10, 20) if m * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def tick_decimals(values: list[Number]) -> int:
    """Return the decimals that tell neighbouring ticks apart."""
    if len(values) < 2:
        return 1
    return max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))
