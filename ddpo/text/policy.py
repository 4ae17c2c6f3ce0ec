"""The token chain as a policy: an action is one token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch
from accelerate.utils import extract_model_from_parallel
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpo import objectives
from ddpo.dtypes import autocast_context
from ddpo.lora import adapters_off
from ddpo.randomness import RowGenerator
from ddpo.sharding import load_trained_tensors, trained_tensors
from ddpo.text.decoding import Completions, Decoding, complete, text_of
from ddpo.text.loading import LanguageModel
from ddpo.text.network import TokenNetwork
from ddpo.text.prompt_batches import PromptBatches
from ddpo.trajectory import Evaluation, Trajectory

MODEL = "model."
"""What of a trained state is the language model's begins so."""


@final
class TokenPolicy:
    """A language model as a `Policy`; see there for the contract.

    π is the softmax of logits/temperature over all tokens, without those that end a text before
    `min_length`; samples are drawn from it, and log-probs are of it. The record of a trajectory is
    `completion_ids [B, A]`, the very tokens that were drawn.

    A network pass is one sample once through the network: written token by token, scored at once,
    or scored under the reference policy.
    """

    def __init__(
        self,
        language: LanguageModel,
        network: TokenNetwork,
        decoding: Decoding,
        heldout: Decoding,
        *,
        reference: nn.Module | None = None,
        uses_lora: bool = False,
        measures_reference: bool = False,
        missing_eos_penalty: float = 0.0,
        autocast: torch.dtype | None = None,
    ):
        """Wrap a model.

        Args:
            language: the model and its tokenizer.
            network: around that model.
            decoding: how samples of training are written: without truncation.
            heldout: how others are.
            reference: a frozen copy of the network, for KL under full fine-tuning.
            uses_lora: whether the model carries adapters; off, it is the reference.
            measures_reference: score samples under the reference policy at once, too.
            missing_eos_penalty: what a sample that was cut off loses of its reward.
            autocast: dtype that network passes are autocast to.
        """
        self.network: nn.Module = network
        self.reference_network = reference
        self.network_passes = 0
        self.language = language
        self._decoding = decoding
        self._heldout = heldout
        self._uses_lora = uses_lora
        self._measures_reference = measures_reference
        self._penalty = missing_eos_penalty
        self._autocast = autocast
        self._prompts = PromptBatches(language, decoding.max_length)

    @property
    def action_dimensions(self) -> int:
        """A log-prob is of one token."""
        return 1

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def check_prompts(self, prompts: Sequence[str], key: str) -> None:
        """See `Policy`."""
        self._prompts.check(prompts, key)

    def sample(
        self, prompts: Sequence[str], generator: RowGenerator, *, heldout: bool = False
    ) -> Trajectory:
        """Write a completion of each prompt; its token at place t is drawn at the row's t-th
        uniform number.
        """
        decoding = self._heldout if heldout else self._decoding
        return self._written(prompts, decoding, generator.uniforms(decoding.max_length))

    def sample_greedily(self, prompts: Sequence[str]) -> Trajectory:
        """Write a completion of the likeliest token at each place."""
        return self._written(prompts, self._heldout, None)

    def evaluate(
        self, trajectory: Trajectory, actions: Int[Tensor, " a"], *, with_kl: bool = False
    ) -> Evaluation:
        """Score these tokens again, in one network pass of all of the completions up to the last
        of them.
        """
        length = int(actions.max()) + 1
        found = self._scored(self.network, trajectory, length)
        there = actions.to(self.device)
        kl = None
        if with_kl:
            with torch.no_grad(), self.reference() as network:
                ref = self._scored(network, trajectory, length, with_values=False)
            kl = objectives.kl_k3(found["log_probs"], ref["log_probs"])[:, there]
        values = found.get("values")
        return Evaluation(
            log_probs=found["log_probs"][:, there],
            kl=kl,
            entropy=found["entropy"][:, there],
            values=None if values is None else values[:, there],
        )

    def trained_state(self) -> dict[str, Tensor]:
        """Parameters that are trained, by name."""
        return trained_tensors(self.network)

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy a `trained_state` into the network, in place.

        Raises:
            KeyError: the names differ.
        """
        load_trained_tensors(self.network, state)

    def save_pretrained(
        self, folder: Path, state: Mapping[str, Tensor], base_model: str | None = None
    ) -> None:
        """Write transformers' own format, or peft's for a LoRA, without the critic."""
        own = {k.removeprefix(MODEL): v for k, v in state.items() if k.startswith(MODEL)}
        model = self._model
        if self._uses_lora:
            for adapter in model.peft_config.values():
                adapter.base_model_name_or_path = base_model
            model.save_pretrained(folder, state_dict=own)
        else:
            frozen = model.state_dict()
            model.save_pretrained(folder, state_dict={**frozen, **own})
        self.language.tokenizer.save_pretrained(folder)

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """The network before training: the frozen copy, or adapters off until the end."""
        if self.reference_network is not None:
            yield self.reference_network
            return
        with adapters_off(self._model):
            yield extract_model_from_parallel(self.network)

    @property
    def _model(self) -> Any:
        network: Any = extract_model_from_parallel(self.network)
        return network.model

    @torch.no_grad()
    def _written(
        self,
        prompts: Sequence[str],
        decoding: Decoding,
        uniforms: Float[Tensor, "b t"] | None,
    ) -> Trajectory:
        """Completions, and what the policy says of them."""
        language, prompt = self.language, self._prompts.of(prompts, self.device)
        with autocast_context(self.device, self._autocast):
            written = complete(
                self._model, language.tokenizer, prompt, decoding, language.eos_ids, uniforms
            )
        self.network_passes += len(prompts)
        texts = [
            text_of(language.tokenizer, ids[mask > 0], decoding.stop)
            for ids, mask in zip(written.ids.cpu(), written.mask.cpu(), strict=True)
        ]
        blank = torch.zeros_like(written.mask)
        trajectory = Trajectory(
            list(prompts), blank, written.mask, {"completion_ids": written.ids}, texts
        )
        return self._measured(trajectory, written)

    def _measured(self, trajectory: Trajectory, written: Completions) -> Trajectory:
        """The same with its log-probs, values and what else credit is made of."""
        longest = int(trajectory.mask.sum(1).max())
        found = self._scored(self.network, trajectory, longest)
        whole = trajectory.mask.shape[1]
        measured = {}
        if "values" in found:
            measured["values"] = _padded(found["values"], whole)
        if self._measures_reference:
            with self.reference() as network:
                ref = self._scored(network, trajectory, longest, with_values=False)
            measured["ref_log_probs"] = _padded(ref["log_probs"], whole)
        if self._penalty:
            measured["penalty"] = self._penalty * (~written.ended).float()
        return Trajectory(
            trajectory.prompts,
            _padded(found["log_probs"], whole),
            trajectory.mask,
            trajectory.record,
            trajectory.outputs,
            measured=measured,
        )

    def _scored(
        self,
        network: nn.Module,
        trajectory: Trajectory,
        length: int,
        *,
        with_values: bool = True,
    ) -> dict[str, Float[Tensor, "b t"]]:
        """What a network says of the first `length` tokens, in fp32 or better."""
        prompt = self._prompts.of(trajectory.prompts, self.device)
        self.network_passes += len(trajectory)
        with autocast_context(self.device, self._autocast):
            found = network(
                prompt["input_ids"],
                prompt["attention_mask"],
                trajectory.record["completion_ids"][:, :length],
                trajectory.mask[:, :length],
                with_values,
            )
        return {k: v.to(torch.promote_types(v.dtype, torch.float32)) for k, v in found.items()}


def _padded(values: Float[Tensor, "b t"], length: int) -> Float[Tensor, "b a"]:
    """The same with zeros up to a length."""
    return nn.functional.pad(values, (0, length - values.shape[1]))
