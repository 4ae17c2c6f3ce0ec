"""The peak memory of a run, found by running its own code on a model without weights.

For runs in which every process holds the whole network (one process, or plain data parallelism).
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from ddpo.algorithms import Algorithm
from ddpo.batching import BatchPlan, heldout_batch
from ddpo.config.diffusion_policy import denoising
from ddpo.config.schema import Config
from ddpo.diffusion.conditioning import KEPT_PROMPTS, Conditioner
from ddpo.diffusion.family import Family
from ddpo.diffusion.weightless import empty, load_weightless, take_content
from ddpo.live_memory import ACTIVATIONS, UNNAMED, LiveMemory, Peak, form
from ddpo.optimizers import build_optimizer, empty_state
from ddpo.policies import build_policy
from ddpo.prompts import load_prompts
from ddpo.randomness import RowGenerator
from ddpo.trajectory import Policy, Trajectory

WEIGHTS, PROMPTS, TRAJECTORIES = "weights", "encoded prompts", "trajectories"
TRAINED = "gradients and optimizer"

ENCODING, SAMPLING, DECODING = "encoding prompts", "sampling", "decoding"
EVALUATION, TRAINING = "evaluation", "training"


def estimate_peaks(config: Config, plan: BatchPlan, folder: Path) -> dict[str, Peak]:
    """The most that one process holds on its device, by stage.

    Args:
        config: of the run.
        plan: how it is divided.
        folder: with the model's configuration files.

    Raises:
        UserError: the run is impossible as configured.
    """
    rehearsal = Rehearsal(config, plan, folder, this_device())
    rehearsal.run()
    return {name: peak for name, peak in rehearsal.live.peaks.items() if name != UNNAMED}


def this_device() -> torch.device:
    """Where a run on this machine would train."""
    here = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return here or torch.device("cpu")


class Rehearsal:
    """One iteration of a run, as it is once the optimizer has its state, without weights.

    What is done many times over is done once: a pass of the network without gradients for each
    shape of its inputs, and one batch of samples for all.
    """

    def __init__(self, config: Config, plan: BatchPlan, folder: Path, device: torch.device):
        """Build the policy and everything else that stays."""
        self.config, self.plan, self.device = config, plan, device
        self.live = LiveMemory(device)
        families: list[Family] = []

        def load(*asked: Any) -> Family:
            families.append(load_weightless(folder, *asked))
            return families[-1]

        with self.live:
            mixed = config.train.mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION")
            as_loaded = replace(config, policy=replace(config.policy, attention=None))
            with warnings.catch_warnings():  # of a copied network: whether it has content is asked
                warnings.filterwarnings("ignore", message="Accessing the data pointer of Fake")
                self.policy: Policy = build_policy(as_loaded, device, mixed or "no", load)
        self.family = families[0]
        if config.policy.attention == "eager":  # all others keep no matrix of attention
            self.family.network.set_attn_processor(self.family.attention["eager"]())
        for network in self._networks():
            take_content(network)
            self.live.label([*network.parameters(), *network.buffers()], WEIGHTS)
        self.live.label_rest(WEIGHTS)
        self.algorithm = Algorithm(config.algorithm, self.policy.action_dimensions)
        self.parameters = [p for p in self.policy.network.parameters() if p.requires_grad]
        for parameter in self.parameters:
            parameter.register_post_accumulate_grad_hook(
                lambda p: self.live.label([p.grad], TRAINED)
            )
        overlap = config.scoring.overlap
        self.overlap = device.type != "cpu" if overlap is None else overlap
        self.step = 0  # bytes that the optimizer's step adds to what there is

    def run(self) -> None:
        """All stages of an iteration, in order."""
        self.family.network.forward = self._remembered(self.family.network.forward)
        self.family.decode = self._in_stage(DECODING, self.family.decode)
        with self.live:
            self._make_optimizer_state()
            with self.live.stage(ENCODING):
                self._encode()
            with self.live.stage(SAMPLING):
                trajectory = self._collect(self.plan.samples_per_process).without_outputs()
                if self.family.tiny_vae is not None:  # an audit
                    policy: Any = self.policy
                    policy.decoded_fully(trajectory[: self.plan.sample_batch])
            with self.live.stage(TRAINING):
                self._train(trajectory)
            del trajectory
            if self.config.evaluation.samples:
                with self.live.stage(EVALUATION):
                    self._evaluate()

    def _networks(self) -> list[nn.Module]:
        """All that the run holds."""
        parts = [p for p in self.family.pipeline.components.values() if isinstance(p, nn.Module)]
        others = (self.policy.reference_network, self.family.tiny_vae)
        return [*parts, *(network for network in others if network is not None)]

    def _make_optimizer_state(self) -> None:
        """Make all that a first step leaves, and know what a step needs."""
        train = self.config.train
        for parameter in self.parameters:
            parameter.grad = torch.empty_like(parameter)
            self.live.label([parameter.grad], TRAINED)
        if train.optimizer == "adamw":
            optimizer = build_optimizer(train, self.parameters)
            _, self.step = self.live.once(optimizer.step)
            self.state: Any = [dict(state) for state in optimizer.state.values()]
        else:  # their steps look at numbers, and there are none
            self.state = [empty_state(train, parameter) for parameter in self.parameters]
        held = tree_leaves(self.state)
        self.live.label([leaf for leaf in held if isinstance(leaf, Tensor)], TRAINED)
        self.ema = EMAModel(self.parameters, decay=train.ema_decay) if train.ema_decay else None
        if self.ema is not None:
            self.live.label(self.ema.shadow_params, TRAINED)
        for parameter in self.parameters:
            parameter.grad = None

    def _encode(self) -> None:
        """Encode a prompt and the empty one, and keep as many as the run comes to know."""
        config, family = self.config, self.family
        prompts = load_prompts(config.prompts)
        known = min(len(prompts), config.train.iterations * self.plan.prompts)
        if config.evaluation.prompts is not None:
            heldout = load_prompts(config.evaluation.prompts, "evaluation.prompts")
            known += min(len(heldout), config.evaluation.samples)
        self.prompt = prompts.texts[0]
        known = min(known, KEPT_PROMPTS)
        encoded = Conditioner(family).both_branches([self.prompt], 1)
        size = sum(values.nbytes for values in encoded.values()) // 2
        waiting = torch.device("cpu") if family.offloaded else self.device
        self.prompts = empty([size * known], torch.uint8, waiting)
        self.live.label([self.prompts], PROMPTS)

    def _collect(self, count: int, *, heldout: bool = False) -> Trajectory:
        """So many samples: the last batch of them is made, with the others there."""
        most = heldout_batch(self.config, self.plan) if heldout else self.plan.sample_batch
        batch = min(most, count)
        room, seen = None, None
        with self.live.stage(UNNAMED):
            made = self._sample(batch, heldout)
            if batch < count:
                kept = made if heldout else made.without_outputs()
                room = self._kept(kept.room_for(count))
                if not self.overlap:  # what the rewards have yet to see
                    seen = self._kept(made.room_for(count - batch)).outputs
            del made
            self.live.label_rest(PROMPTS)  # those that the policy itself remembers
        last = self._kept(self._sample(batch, heldout))
        del seen
        last = last if heldout else last.without_outputs()
        if room is None:
            return last
        for start in range(0, count, batch):
            room.put(start, last[: count - start])
        return room

    def _sample(self, batch: int, heldout: bool) -> Trajectory:
        """One batch of samples as it waits for the others."""
        generator = RowGenerator(self.config.seed, 1, tuple((0, row) for row in range(batch)))
        made = self.policy.sample([self.prompt] * batch, generator, heldout=heldout)
        away = self.config.train.trajectories_on == "cpu" and not heldout
        return made.with_record_on("cpu") if away else made

    def _kept(self, trajectory: Trajectory) -> Trajectory:
        self.live.label(_tensors(trajectory), TRAJECTORIES)
        return trajectory

    def _train(self, trajectory: Trajectory) -> None:
        """One pass of an update that had others before it, if there are, and the step. Passes
        differ only where some steps are guided and others are not.
        """
        update = self._kept(trajectory[slice(0, None, self.plan.updates)])
        active = update.mask.any(0).nonzero().flatten()
        chunks = active.split(self.plan.actions_per_pass)
        # of as many samples and actions as there can be; smaller ones come last
        largest = (len(update) // self.plan.micro_batch) * (len(active) // len(chunks[0]))
        if largest > 1:
            for parameter in self.parameters:
                parameter.grad = torch.empty_like(parameter)
                self.live.label([parameter.grad], TRAINED)
        part = update[: self.plan.micro_batch].with_record_on(self.device)
        for columns in chunks if denoising(self.config).guidance_interval else chunks[:1]:
            self._pass_back(part, columns)
        del part
        self.live.as_if(self.step)
        for parameter in self.parameters:
            parameter.grad = None

    def _pass_back(self, part: Trajectory, columns: Tensor) -> None:
        """One pass of the network and its gradient."""
        mask, old_log_probs = part.mask[:, columns], part.log_probs[:, columns]
        evaluation = self.policy.evaluate(part, columns, with_kl=self.algorithm.needs_reference)
        advantage = torch.zeros_like(mask[:, :1])
        self.algorithm.losses(evaluation, old_log_probs, advantage, mask).loss.sum().backward()

    def _evaluate(self) -> None:
        """This process's held-out samples, with the averaged weights if there are any."""
        if self.ema is not None:
            self.ema.store(self.parameters)
            self.live.label(self.ema.temp_stored_params or (), TRAINED)
            self.ema.copy_to(self.parameters)
        self._collect(math.ceil(self.config.evaluation.samples / self.plan.processes), heldout=True)

    def _in_stage(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work` as a stage of its own."""

        def measured(*args: Any, **options: Any) -> Any:
            with self.live.stage(name):
                return work(*args, **options)

        return measured

    def _remembered(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The network's pass; without gradients, made once for each shape of its inputs."""
        known: dict[Any, tuple[int, Any]] = {}

        def passed(*args: Any, **options: Any) -> Any:
            if torch.is_grad_enabled():
                return forward(*args, **options)
            key = tuple(form(leaf) for leaf in tree_leaves((args, options)))
            if key not in known:
                result, most = self.live.once(partial(forward, *args, **options))
                known[key] = most, tree_map(form, result)
                return result
            most, forms = known[key]
            result = tuple(empty(shape, dtype, self.device) for shape, dtype in forms)
            self.live.label(result, ACTIVATIONS)
            self.live.as_if(most)
            return result

        return passed


def _tensors(trajectory: Trajectory) -> list[Tensor]:
    outputs = trajectory.outputs
    images = [outputs] if isinstance(outputs, Tensor) else []
    return [trajectory.log_probs, trajectory.mask, *trajectory.record.values(), *images]
