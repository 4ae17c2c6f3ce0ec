"""The commands of `python -m rewards`: what each takes, and what it does."""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards import registry
from rewards.command_line import Parser, show, whole_number
from rewards.errors import RewardError
from rewards.option_words import by_name, is_option, options_in

TOKEN = "DDPO_REWARD_TOKEN"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: what is typed.
        summary: one line of help.
        arguments: adds what it takes to its parser.
        action: does it, and returns the exit code, None for 0.
        more: of which of the arguments words may also stand after options; see `parse`.
    """

    name: str
    summary: str
    arguments: Callable[[Parser], None]
    action: Callable[[argparse.Namespace], int | None]
    more: str = ""


def _list_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--markdown", action="store_true", help="the built-in rewards, as a table in Markdown"
    )


def _list(chosen: argparse.Namespace) -> None:
    if chosen.markdown:
        from rewards.cards import table

        show(table(sorted(registry.BUILT_IN)))
    else:
        from rewards.listing import lines

        show("\n".join(lines()))


def _name_argument(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="a name from the list, or module:attribute")


def _show(chosen: argparse.Namespace) -> None:
    from rewards.cards import card

    show(card(registry.definition(chosen.name)))


def _score_arguments(parser: Parser) -> None:
    _name_argument(parser)
    parser.add_argument(
        "arguments",
        nargs="+",
        metavar="FILE|key=value",
        help="pictures; a run's samples/<iteration>/; .txt files, a text a line; .jsonl files, "
        "a prompt, a text and columns a line; options of the reward",
    )
    parser.add_argument(
        "--prompt", metavar="TEXT", default="", help="of pictures and .txt files, which have none"
    )


def _score(chosen: argparse.Namespace) -> int:
    from rewards.files import find, score

    words = [word for word in chosen.arguments if is_option(word)]
    files = [Path(word) for word in chosen.arguments if not is_option(word)]
    found = find(files, chosen.prompt)
    reward = registry.make(chosen.name, **options_in(words))
    failed = 0
    for one, value, reason in score(reward, found):
        failed += bool(reason)
        show(f"{value:.6g}\t{one.name}\t{reason or one.prompt}")
    return int(failed > 0)


def _check_arguments(parser: Parser) -> None:
    _name_argument(parser)
    parser.add_argument("options", nargs="*", metavar="key=value", help="options of the reward")
    parser.add_argument(
        "--columns", metavar="FILE", type=Path, help="a .jsonl file: prompt, text, columns a line"
    )


def _check(chosen: argparse.Namespace) -> int:
    from rewards.testing.command import check

    text, status = check(chosen.name, options_in(chosen.options), chosen.columns)
    show(text)
    return status


def _new_arguments(parser: Parser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="of the reward: lower-case letters, digits, underscores"
    )
    parser.add_argument("--text", action="store_true", help="it scores texts, not images")


def _new(chosen: argparse.Namespace) -> None:
    from rewards.scaffold import new

    show(str(new(chosen.name, modality="text" if chosen.text else "image")))


def _ablate_arguments(parser: Parser) -> None:
    parser.add_argument(
        "path", metavar="RUN_OR_SAMPLES", type=Path, help="a run folder or its samples/<iteration>/"
    )


def _ablate(chosen: argparse.Namespace) -> None:
    from rewards.ablation import report

    show(report(chosen.path))


def _calibrate_arguments(parser: Parser) -> None:
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="as for ddpo train, such as policy.num_steps=20",
    )
    parser.add_argument(
        "--samples", metavar="COUNT", type=whole_number(1), default=64, help="how many (default 64)"
    )


def _calibrate(chosen: argparse.Namespace) -> None:
    from rewards.calibration import report

    show(report(chosen.config, chosen.samples, chosen.overrides))


def _serve_arguments(parser: Parser) -> None:
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME|key=value",
        help="rewards, each followed by its options and, to rename it, as=LABEL",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1)")
    parser.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=8321,
        help="0 takes a free one (default 8321)",
    )
    parser.add_argument(
        "--token-env",
        metavar="VARIABLE",
        help=f"environment variable with the token (default {TOKEN}, where it is set)",
    )
    parser.add_argument(
        "--max-samples",
        metavar="COUNT",
        type=whole_number(1),
        default=256,
        help="most samples of one request (default 256)",
    )


def _serve(chosen: argparse.Namespace) -> None:
    from rewards.remote.serving import serve

    made = [_served(name, words) for name, *words in by_name(chosen.names)]
    token = os.environ.get(chosen.token_env or TOKEN) or None
    if chosen.token_env and token is None:
        raise RewardError(f"--token-env: the variable {chosen.token_env} is not set: export it")
    serve(made, host=chosen.host, port=chosen.port, token=token, max_samples=chosen.max_samples)


def _served(name: str, words: Sequence[str]) -> Any:
    """A reward under its name, or the one that `as=…` gives it: no option can be called that."""
    from rewards.scoring import Reward

    options = options_in(words)
    label = options.pop("as", name)
    if "/" in label or not label:
        raise RewardError(f"as={label!r}: a label is a part of an address, without a slash")
    made = registry.make(name, **options)
    named = made.name if label == name else label
    return Reward(made.definition, made.function, made.options, label=named)


COMMANDS = (
    Command(
        "list", "all rewards, where they are defined, and which are broken", _list_arguments, _list
    ),
    Command("show", "what one reward declares, and its options", _name_argument, _show),
    Command(
        "score", "score pictures or texts in files", _score_arguments, _score, more="arguments"
    ),
    Command(
        "check", "verify that a reward keeps the contract", _check_arguments, _check, more="options"
    ),
    Command(
        "new", "write an installable package with a reward to start from", _new_arguments, _new
    ),
    Command(
        "ablate",
        "how the ranking of samples changes without each reward",
        _ablate_arguments,
        _ablate,
    ),
    Command(
        "calibrate",
        "scale, spread and overlap of a configuration's rewards before training",
        _calibrate_arguments,
        _calibrate,
        more="overrides",
    ),
    Command("serve", "score for others, over HTTP", _serve_arguments, _serve, more="names"),
)
