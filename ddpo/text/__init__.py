"""The token chain: a language model as a policy."""
