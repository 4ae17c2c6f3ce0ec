"""The command line of rewards: `python -m rewards list` and `python -m rewards show NAME`."""

import argparse
import sys
from collections.abc import Sequence

from rewards import registry
from rewards.errors import RewardError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 2 when the user named something that does not work."""
    parser = argparse.ArgumentParser(prog="python -m rewards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    lister = commands.add_parser("list", help="all rewards and where they are defined")
    lister.add_argument("--markdown", action="store_true", help="the table of the built-in rewards")
    shower = commands.add_parser("show", help="what one reward declares, and its options")
    shower.add_argument("name", help="a name from the list, or module:attribute")
    chosen = parser.parse_args(arguments)
    try:
        print(_show(chosen.name) if chosen.command == "show" else _list(chosen.markdown))
    except RewardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _list(markdown: bool) -> str:
    if markdown:
        from rewards.cards import table

        return table(sorted(registry.BUILT_IN))
    width = max(map(len, registry.names()))
    lines = [
        f"{name:{width}}  {claim}" for name in registry.names() for claim in registry.claims(name)
    ]
    return "\n".join(lines)


def _show(name: str) -> str:
    from rewards.cards import card

    return card(registry.definition(name))


if __name__ == "__main__":
    sys.exit(main())
