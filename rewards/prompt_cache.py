"""Embeddings of prompts, each computed once: a run scores few prompts many times."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

CAPACITY = 10_000


class PromptCache:
    """Embeddings by prompt, kept on the CPU so that they neither fill nor depend on a device.

    It holds `capacity` prompts, or those of one call where they are more; then it starts anew.

    Args:
        batch_size: prompts in one pass of the network.
        capacity: prompts to keep.
    """

    def __init__(self, batch_size: int, capacity: int = CAPACITY) -> None:
        self.batch_size = batch_size
        self.capacity = capacity
        self._kept: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        embed: Callable[[list[str]], Tensor],
        device: torch.device,
    ) -> Float[Tensor, "b width"]:
        """Embeddings of `prompts`, at least one, in float32 on `device`.

        Args:
            prompts: any of them may come more than once.
            embed: gives `[N, width]` for `N` prompts that are not known yet.
            device: where the embeddings are needed.
        """
        kept = dict(self._kept)  # another thread may start it anew meanwhile
        found = {prompt: kept[prompt] for prompt in prompts if prompt in kept}
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
        for start in range(0, len(missing), self.batch_size):
            part = missing[start : start + self.batch_size]
            # Copies: pickled, each row of a batch would bring the whole batch.
            rows = [row.clone() for row in embed(part).float().cpu()]
            found.update(zip(part, rows, strict=True))
        self._keep({prompt: found[prompt] for prompt in missing})
        return torch.stack([found[prompt] for prompt in prompts]).to(device)

    def _keep(self, new: dict[str, Tensor]) -> None:
        if len(self._kept) + len(new) > self.capacity:
            self._kept.clear()
        self._kept.update(new)
