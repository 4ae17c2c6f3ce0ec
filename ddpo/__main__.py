"""The command line: `ddpo train | sample | gallery | config | doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ddpo.errors import DdpoError, UserError


def run() -> None:
    """Entry point of the console script. Like `python -m`, it finds modules of the working folder:
    a reward may be named `module:name`.
    """
    sys.path.insert(0, "")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 130 or 143 after a signal, 1
    otherwise.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # argparse takes no positional arguments after an option: `CONFIG --resume key=value`
        options.overrides += rest
    try:
        options.command(options)
    except DdpoError as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"ddpo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # before or after training, which handles it itself
        print("ddpo: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ddpo", description="Reinforcement learning for generative models."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="fine-tune a model towards its rewards")
    _add_config(train)
    train.add_argument("--resume", action="store_true", help="continue the run in its folder")
    train.set_defaults(command=_train)

    sample = commands.add_parser("sample", help="pictures from a run or a model")
    sample.add_argument(
        "model", metavar="RUN_OR_MODEL", help="a run folder, shapes, a model folder, a hub id"
    )
    sample.add_argument("--prompts", nargs="+", required=True, help="prompts, or one file of them")
    sample.add_argument("--seed", type=int, default=0, help="of the first picture (default 0)")
    sample.add_argument("--num-steps", type=_positive, help="denoising steps")
    sample.add_argument("--guidance-scale", type=float, help="classifier-free guidance")
    sample.add_argument("--eta", type=float, help="weight of DDIM's noise")
    sample.add_argument(
        "--out", type=Path, default=Path("pictures"), help="folder for the PNG files"
    )
    sample.set_defaults(command=_sample)

    gallery = commands.add_parser("gallery", help="write a run's gallery/index.html")
    gallery.add_argument("run", metavar="RUN", type=Path, help="a run folder")
    gallery.set_defaults(command=_gallery)

    config = commands.add_parser(
        "config", help="show a configuration, resolved, with the batch arithmetic"
    )
    _add_config(config)
    config.add_argument(
        "--processes", type=_positive, default=1, help="processes to divide among (default 1)"
    )
    config.set_defaults(command=_config)

    doctor = commands.add_parser(
        "doctor", help="versions, devices, what is missing and how to get it"
    )
    doctor.set_defaults(command=_doctor)
    return parser


def _positive(text: str) -> int:
    """A whole number of 1 or more."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as train.iterations=20"
    )


def _train(options: argparse.Namespace) -> None:
    from ddpo.config import load_config

    config = load_config(options.config, options.overrides)
    from ddpo.training import train

    train(config, resume=options.resume)


def _sample(options: argparse.Namespace) -> None:
    from ddpo.config import PromptsConfig
    from ddpo.prompts import load_prompts
    from ddpo.sampling import sample

    prompts = options.prompts
    if len(prompts) == 1 and os.path.isfile(prompts[0]):  # Path.is_file raises on a long prompt
        prompts = load_prompts(PromptsConfig(file=Path(prompts[0]))).texts
    images = sample(
        options.model,
        prompts,
        seed=options.seed,
        num_steps=options.num_steps,
        guidance_scale=options.guidance_scale,
        eta=options.eta,
    )
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: {options.out} cannot be made: {error.strerror}") from error
    for number, (prompt, image) in enumerate(zip(prompts, images, strict=True)):
        path = options.out / f"{number:04d}.png"
        image.save(path)
        print(f"{path}\t{prompt}")


def _gallery(options: argparse.Namespace) -> None:
    from ddpo.gallery import write_gallery

    try:
        print(write_gallery(options.run))
    except ValueError as error:
        raise UserError(str(error)) from error


def _config(options: argparse.Namespace) -> None:
    from ddpo.batching import plan_batches
    from ddpo.config import dump_config, load_config

    config = load_config(options.config, options.overrides)
    plan = plan_batches(config, options.processes)
    print(dump_config(config))
    print("".join(f"# {line}\n" for line in plan.describe().splitlines()), end="")


def _doctor(options: argparse.Namespace) -> None:
    from ddpo.doctor import report

    print(report())


if __name__ == "__main__":
    run()
