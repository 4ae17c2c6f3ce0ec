"""Which settings decide how numbers are rounded, and which of them to change when sampling and
training do not agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from ddpo.config.schema import Config


@dataclass(frozen=True)
class Numerics:
    """What is in force in a run.

    Attributes:
        network: dtype of the frozen network's weights: fp32, bf16 or fp16.
        autocast: dtype of network passes, `no` for that of the weights.
        attention: name of the attention back end; None for the one that the model came with.
        compiled: whether the network's repeated blocks are compiled.
        actions_per_pass: actions of a sample that share a training pass, where sampling makes one.
        plain_attention: the back end that rounds least.
        channels_last: whether kernels of convolutions lie so.
    """

    network: str
    autocast: str
    attention: str | None
    compiled: bool
    actions_per_pass: int
    plain_attention: str = "native"
    channels_last: bool = False

    @classmethod
    def of(cls, config: Config, autocast: str, actions_per_pass: int) -> Numerics:
        """Those of a configuration under accelerate's autocast, which may come from elsewhere."""
        policy = config.policy
        return cls(
            policy.precision.network,
            autocast,
            policy.attention,
            policy.compile,
            actions_per_pass if policy.most_actions_per_pass else 1,
            policy.plain_attention,
            policy.channels_last,
        )

    def in_force(self) -> str:
        """The settings by their keys, in one line."""
        return (
            f"policy.precision.network: {self.network}, train.mixed_precision: {self.autocast}, "
            f"policy.attention: {self.attention or 'null'}, "
            f"policy.compile: {str(self.compiled).lower()}, "
            f"policy.channels_last: {str(self.channels_last).lower()}, "
            f"train.actions_per_pass: {self.actions_per_pass}"
        )

    def remedies(self) -> list[str]:
        """What brings sampling and training closer together, the most likely first."""
        found = []
        if self.compiled:
            found.append("policy.compile: false")
        if self.attention not in (None, self.plain_attention):
            found.append(f"policy.attention: {self.plain_attention}")
        if self.channels_last:
            found.append("policy.channels_last: false")
        if self.network == "bf16":
            found.append("policy.precision.network: fp32")
        if self.autocast == "bf16":
            found.append("train.mixed_precision: fp16 (or no)")
        if self.network == "fp16" or (self.autocast == "fp16" and self.network == "fp32"):
            found.append("train.mixed_precision: no with policy.precision.network: fp32")
        if self.actions_per_pass > 1:
            found.append("train.actions_per_pass: 1")
        return found
