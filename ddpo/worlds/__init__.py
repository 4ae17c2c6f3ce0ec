"""Embedded worlds: offline tasks with data, tiny trained weights and an exact verifier."""
