"""What the check of one property found, and how its failure is said."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "FAILED", "skipped"]


class Broken(Exception):
    """The property does not hold; the message is a minimal example."""


class NotChecked(Exception):
    """The property does not apply to this reward, or cannot be tried here; the message says why."""


@dataclass(frozen=True)
class Finding:
    """Of one property of one reward.

    Attributes:
        property: its short name, such as `batch-split`.
        status: "ok", "FAILED" or "skipped".
        message: a minimal example of a failure, or why it was skipped.
    """

    property: str
    status: Status
    message: str = ""

    def __str__(self) -> str:
        return f"{self.status:7}  {self.property:12}  {self.message}".rstrip()
