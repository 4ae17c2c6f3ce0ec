"""The command line of rewards: `python -m rewards COMMAND`."""

import sys
from collections.abc import Sequence

from rewards.command_line import Parser, parse
from rewards.commands import COMMANDS
from rewards.errors import RewardError


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
    added = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for one in COMMANDS:
        sentence = f"{one.summary[0].upper()}{one.summary[1:]}."
        own = added.add_parser(one.name, help=one.summary, description=sentence)
        one.arguments(own)
        own.set_defaults(command=one.action, parser=own, more=one.more)
    return parser


if __name__ == "__main__":
    sys.exit(main())
