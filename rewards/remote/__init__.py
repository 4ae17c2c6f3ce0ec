"""Rewards over HTTP: a server for those that are made, and the reward `remote` that asks it."""
