"""Rewards of programs: whether they parse, and whether they pass tests in a sandbox."""
