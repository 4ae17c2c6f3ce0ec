"""The batch arithmetic: from the global numbers a user states to what each process does in one
pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ddpo.config.schema import Config
from ddpo.errors import UserError

ROWS_OF_A_SAMPLING_PASS = 64
"""Of the network at most, when `sample_batch_size` is omitted."""

ROWS_OF_A_TRAINING_PASS = 48
"""Of the network at most, when `micro_batch_size` is omitted.

Both are what `benchmarks/pass_size.py` found on a CPU: a row of a small U-Net is fastest among 64
in sampling, and in training hardly faster among more than 48, whose activations take more memory.
"""


@dataclass(frozen=True)
class BatchPlan:
    """How one iteration is divided. All counts are exact: nothing is padded or dropped.

    Attributes:
        samples: of one iteration, over all processes.
        group_size: consecutive samples that share a prompt.
        updates: optimizer steps of one iteration.
        processes: running.
        sample_batch: most samples of a sampling pass.
        micro_batch: most samples of a training pass.
        actions_per_pass: actions of each of them in that pass.
    """

    samples: int
    group_size: int
    updates: int
    processes: int
    sample_batch: int
    micro_batch: int
    actions_per_pass: int

    @property
    def prompts(self) -> int:
        """Prompts of one iteration; a prompt may be drawn again."""
        return self.samples // self.group_size

    @property
    def samples_per_process(self) -> int:
        """Samples that one process makes and trains on in an iteration."""
        return self.samples // self.processes

    @property
    def samples_per_update(self) -> int:
        """Samples of one process in one update."""
        return self.samples_per_process // self.updates

    @property
    def accumulation(self) -> int:
        """Micro-batches of one process in one update, for each chunk of actions."""
        return math.ceil(self.samples_per_update / self.micro_batch)

    def rows_of(self, process: int) -> slice:
        """Which of an iteration's samples a process makes: a contiguous share."""
        return slice(process * self.samples_per_process, (process + 1) * self.samples_per_process)

    def at_most(self, **sizes: int) -> BatchPlan:
        """The same with passes of these sizes, where they are smaller."""
        return replace(self, **{name: min(n, getattr(self, name)) for name, n in sizes.items()})

    def smaller_sampling(self) -> BatchPlan | None:
        """Half as many samples of a sampling pass; None where there is one."""
        if self.sample_batch == 1:
            return None
        return replace(self, sample_batch=self.sample_batch // 2)

    def smaller_training(self) -> BatchPlan | None:
        """Half as many samples of a training pass, then half as many actions; None where there is
        one of each.
        """
        if self.micro_batch > 1:
            return replace(self, micro_batch=self.micro_batch // 2)
        if self.actions_per_pass > 1:
            return replace(self, actions_per_pass=self.actions_per_pass // 2)
        return None

    def describe(self) -> str:
        """The arithmetic in four lines."""
        return (
            f"{self.samples} samples an iteration = {self.prompts} prompts x {self.group_size} "
            f"samples"
            f" = {self.processes} processes x {self.samples_per_process} samples\n"
            f"{math.ceil(self.samples_per_process / self.sample_batch)} sampling passes of at most "
            f"{self.sample_batch} samples\n"
            f"{self.updates} updates an iteration, each on {self.samples // self.updates} samples"
            f" = {self.processes} processes x {self.samples_per_update} samples\n"
            f"{self.accumulation} micro-batches of at most {self.micro_batch} samples an update,"
            f" {self.actions_per_pass} actions of a sample a network pass"
        )


def plan_batches(config: Config, processes: int) -> BatchPlan:
    """Divide the configuration's numbers among `processes`.

    Raises:
        UserError: the samples do not divide; names the nearest number of samples that does.
    """
    train, group_size = config.train, config.algorithm.group_size
    unit = math.lcm(group_size, processes * train.updates_per_iteration)
    if train.samples_per_iteration % unit:
        lower = train.samples_per_iteration // unit * unit
        nearest = [str(n) for n in (lower, lower + unit) if n > 0]
        raise UserError(
            f"train.samples_per_iteration: {train.samples_per_iteration} samples do not divide "
            f"into groups of "
            f"{group_size} (algorithm.group_size) and into {processes} processes x "
            f"{train.updates_per_iteration} updates "
            f"(train.updates_per_iteration); the nearest possible: {' or '.join(nearest)}"
        )
    per_update = train.samples_per_iteration // (processes * train.updates_per_iteration)
    sample_batch = train.sample_batch_size
    if sample_batch is None:
        sample_batch = ROWS_OF_A_SAMPLING_PASS // config.policy.rows_of_a_sample
    micro_batch, actions_per_pass = _training_pass(config, per_update)
    return BatchPlan(
        samples=train.samples_per_iteration,
        group_size=group_size,
        updates=train.updates_per_iteration,
        processes=processes,
        sample_batch=min(sample_batch, per_update * train.updates_per_iteration),
        micro_batch=min(micro_batch, per_update),
        actions_per_pass=min(actions_per_pass, config.policy.longest_chain),
    )


def heldout_batch(config: Config, plan: BatchPlan) -> int:
    """Most held-out samples of a pass: as many as training samples, or fewer where guidance makes
    more rows of each, so that no pass has more rows.
    """
    policy = config.policy
    rows, heldout = policy.rows_of_a_sample, policy.rows_of_a_heldout_sample(config.evaluation)
    return max(1, plan.sample_batch * rows // max(rows, heldout))


def _training_pass(config: Config, samples: int) -> tuple[int, int]:
    """Samples of a training pass, and actions of each of them, in an update of so many."""
    train, policy = config.train, config.policy
    rows = ROWS_OF_A_TRAINING_PASS // policy.rows_of_a_sample
    if policy.most_actions_per_pass is None:  # a row scores all that it is asked for
        micro_batch = train.micro_batch_size or _evenly(samples, rows)
        return micro_batch, train.actions_per_pass or policy.longest_chain
    if train.micro_batch_size is not None:
        return train.micro_batch_size, train.actions_per_pass or 1
    micro_batch = _evenly(samples, max(1, rows // (train.actions_per_pass or 1)))
    return micro_batch, train.actions_per_pass or max(1, rows // micro_batch)


def _evenly(samples: int, most: int) -> int:
    """Samples of a pass when as few passes as can be share them evenly."""
    return math.ceil(samples / math.ceil(samples / most))
