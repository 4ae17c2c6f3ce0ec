"""The command line of rewards: `python -m rewards COMMAND`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewards import registry
from rewards.command_line import Parser, parse, show, whole_number
from rewards.errors import RewardError

TOKEN = "DDPO_REWARD_TOKEN"
NAME = "a name from the list, or module:attribute"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 when a check failed or a sample could not be scored; 2 when the user named something
        that does not work.
    """
    chosen = parse(_parser(), arguments)
    try:
        return chosen.command(chosen) or 0
    except RewardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> Parser:
    parser = Parser(
        prog="python -m rewards",
        description="Named functions that give a picture or a text a number; higher is better.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, action: Any, summary: str, more: str = "") -> Parser:
        sentence = f"{summary[0].upper()}{summary[1:]}."
        added = commands.add_parser(name, help=summary, description=sentence)
        added.set_defaults(command=action, parser=added, more=more)
        return added

    lister = command("list", _list, "all rewards, where they are defined, and which are broken")
    lister.add_argument(
        "--markdown", action="store_true", help="the built-in rewards, as a table in Markdown"
    )

    shower = command("show", _show, "what one reward declares, and its options")
    shower.add_argument("name", metavar="NAME", help=NAME)

    scorer = command("score", _score, "score pictures or texts in files", more="arguments")
    scorer.add_argument("name", metavar="NAME", help=NAME)
    scorer.add_argument(
        "arguments",
        nargs="+",
        metavar="FILE|key=value",
        help="pictures; a run's samples/<iteration>/; .txt files, a text a line; .jsonl files, "
        "a prompt, a text and columns a line; options of the reward",
    )
    scorer.add_argument(
        "--prompt", metavar="TEXT", default="", help="of pictures and .txt files, which have none"
    )

    checker = command("check", _check, "verify that a reward keeps the contract", more="options")
    checker.add_argument("name", metavar="NAME", help=NAME)
    checker.add_argument("options", nargs="*", metavar="key=value", help="options of the reward")
    checker.add_argument(
        "--columns", metavar="FILE", type=Path, help="a .jsonl file: prompt, text, columns a line"
    )

    maker = command("new", _new, "write an installable package with a reward to start from")
    maker.add_argument(
        "name", metavar="NAME", help="of the reward: lower-case letters, digits, underscores"
    )
    maker.add_argument("--text", action="store_true", help="it scores texts, not images")

    ablator = command("ablate", _ablate, "how the ranking of samples changes without each reward")
    ablator.add_argument(
        "path", metavar="RUN_OR_SAMPLES", type=Path, help="a run folder or its samples/<iteration>/"
    )

    calibrator = command(
        "calibrate",
        _calibrate,
        "scale, spread and overlap of a configuration's rewards before training",
        more="overrides",
    )
    calibrator.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    calibrator.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="as for ddpo train, such as policy.num_steps=20",
    )
    calibrator.add_argument(
        "--samples", metavar="COUNT", type=whole_number(1), default=64, help="how many (default 64)"
    )

    server = command("serve", _serve, "score for others, over HTTP", more="names")
    server.add_argument(
        "names",
        nargs="+",
        metavar="NAME|key=value",
        help="rewards, each followed by its options and, to rename it, as=LABEL",
    )
    server.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1)")
    server.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=8321,
        help="0 takes a free one (default 8321)",
    )
    server.add_argument(
        "--token-env",
        metavar="VARIABLE",
        help=f"environment variable with the token (default {TOKEN}, where it is set)",
    )
    server.add_argument(
        "--max-samples",
        metavar="COUNT",
        type=whole_number(1),
        default=256,
        help="most samples of one request (default 256)",
    )
    return parser


def _list(chosen: argparse.Namespace) -> None:
    if chosen.markdown:
        from rewards.cards import table

        show(table(sorted(registry.BUILT_IN)))
    else:
        from rewards.listing import lines

        show("\n".join(lines()))


def _show(chosen: argparse.Namespace) -> None:
    from rewards.cards import card

    show(card(registry.definition(chosen.name)))


def _score(chosen: argparse.Namespace) -> int:
    from rewards.files import find, score

    words = [word for word in chosen.arguments if _is_option(word)]
    files = [Path(word) for word in chosen.arguments if not _is_option(word)]
    found = find(files, chosen.prompt)
    reward = registry.make(chosen.name, **_options(words))
    failed = 0
    for one, value, reason in score(reward, found):
        failed += bool(reason)
        show(f"{value:.6g}\t{one.name}\t{reason or one.prompt}")
    return int(failed > 0)


def _check(chosen: argparse.Namespace) -> int:
    from rewards.testing.command import check

    text, status = check(chosen.name, _options(chosen.options), chosen.columns)
    show(text)
    return status


def _new(chosen: argparse.Namespace) -> None:
    from rewards.scaffold import new

    show(str(new(chosen.name, modality="text" if chosen.text else "image")))


def _ablate(chosen: argparse.Namespace) -> None:
    from rewards.ablation import report

    show(report(chosen.path))


def _calibrate(chosen: argparse.Namespace) -> None:
    from rewards.calibration import report

    show(report(chosen.config, chosen.samples, chosen.overrides))


def _serve(chosen: argparse.Namespace) -> None:
    from rewards.remote.serving import serve

    made = [_served(name, words) for name, *words in _by_name(chosen.names)]
    token = os.environ.get(chosen.token_env or TOKEN) or None
    if chosen.token_env and token is None:
        raise RewardError(f"--token-env: the variable {chosen.token_env} is not set: export it")
    serve(made, host=chosen.host, port=chosen.port, token=token, max_samples=chosen.max_samples)


def _by_name(words: Sequence[str]) -> list[list[str]]:
    """Each name with the options that follow it.

    Raises:
        RewardError: options stand before any name.
    """
    if _is_option(words[0]):
        raise RewardError(f"{words[0]!r} is an option: put the name of its reward before it")
    groups: list[list[str]] = []
    for word in words:
        if groups and _is_option(word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _served(name: str, words: Sequence[str]) -> Any:
    """A reward under its name, or the one that `as=…` gives it: no option can be called that."""
    from rewards.scoring import Reward

    options = _options(words)
    label = options.pop("as", name)
    if "/" in label or not label:
        raise RewardError(f"as={label!r}: a label is a part of an address, without a slash")
    made = registry.make(name, **options)
    named = made.name if label == name else label
    return Reward(made.definition, made.function, made.options, label=named)


def _is_option(word: str) -> bool:
    """Whether it is `key=value`, and not a file whose path holds a sign of equality."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier() and not Path(word).exists()


def _options(words: Sequence[str]) -> dict[str, Any]:
    """Options by name; lists and mappings as in YAML, everything else as text: the reward's own
    types decide.

    Raises:
        RewardError: a word is not `key=value`.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise RewardError(f"option {word!r} is not of the form key=value")
        options[key] = _value(key, text)
    return options


def _value(key: str, text: str) -> Any:
    if not text.startswith(("[", "{")):
        return None if text == "null" else text
    from rewards.yaml_text import read_yaml

    try:
        return read_yaml(text)
    except ValueError as error:
        raise RewardError(
            f"option {key}={text!r} is not YAML: a list is [a, b], a mapping {{key: value}}"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
