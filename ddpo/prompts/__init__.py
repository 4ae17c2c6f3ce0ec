"""Prompt sets: by name, from a file or from a dataset, with columns for the rewards."""

from ddpo.prompts.loading import load_prompts
from ddpo.prompts.named_sets import set_names
from ddpo.prompts.prompt_set import PromptSet

__all__ = ["PromptSet", "load_prompts", "set_names"]
