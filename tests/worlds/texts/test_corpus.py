"""What the models imitate: seeded, wrong as often as promised, and free of what is held out."""

import ast
from itertools import islice

import numpy as np

from ddpo.worlds.texts.corpus import (
    BROKEN_SHARE,
    RIGHT_SHARE,
    mostly_wrong,
    program_pairs,
    summary_pairs,
)
from ddpo.worlds.texts.programs import tasks


def test_the_corpus_is_of_its_seed() -> None:
    for pairs in (summary_pairs, program_pairs):
        assert list(islice(pairs(3), 50)) == list(islice(pairs(3), 50))
        assert list(islice(pairs(3), 50)) != list(islice(pairs(4), 50))


def test_shorter_descriptions_can_be_asked_for() -> None:
    short, long = (
        [len(text.split()) for text, _ in islice(summary_pairs(0, shortest), 100)]
        for shortest in (0, 60)
    )
    assert max(short) < 65
    assert min(long) >= 60


def test_half_of_the_families_are_mostly_done_wrong() -> None:
    assert len(mostly_wrong()) == 30


def test_programs_are_right_and_broken_as_often_as_promised() -> None:
    right: dict[bool, list[bool]] = {True: [], False: []}
    parsed = []
    for task, (prompt, program) in islice(zip(tasks(0), program_pairs(0), strict=True), 2000):
        assert prompt == task.prompt
        assert not task.held_out
        right[task.family.name in mostly_wrong()].append(program == task.right)
        parsed.append(_parses(program))
    assert abs(1 - np.mean(parsed) - BROKEN_SHARE) < 0.015
    for mostly, share in RIGHT_SHARE.items():
        assert abs(np.mean(right[mostly]) - share * (1 - BROKEN_SHARE)) < 0.04


def test_a_broken_program_lacks_a_colon_or_a_parenthesis() -> None:
    broken = {program for _, program in islice(program_pairs(0), 300) if not _parses(program)}
    assert any(":\n" not in program for program in broken)
    assert any("(" in head and ")" not in head for head in (p.split("\n")[0] for p in broken))


def _parses(program: str) -> bool:
    try:
        ast.parse(program)
    except SyntaxError:
        return False
    return True
