"""The command line: `ddpo train | sample | gallery | export | push | config | doctor`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ddpo.errors import DdpoError, UserError
from ddpo.gallery_command import add_gallery
from rewards.command_line import Parser, parse, show, whole_number
from rewards.timed import left_behind


def run() -> None:
    """Entry point of the console script. Like `python -m`, it finds modules of the working folder:
    a reward may be named `module:name`.
    """
    sys.path.insert(0, "")
    leave(main(sys.argv[1:]))


def leave(code: int) -> NoReturn:
    """End the program with this exit code, even if a reward still hangs in a thread."""
    if left_behind():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 130 or 143 after a signal, 1
    otherwise.
    """
    options = parse(_parser(), arguments)
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


def _parser() -> Parser:
    parser = Parser(prog="ddpo", description="Reinforcement learning for generative models.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="fine-tune a model towards its rewards")
    _add_config(train)
    train.add_argument("--resume", action="store_true", help="continue the run in its folder")
    train.set_defaults(command=_train, parser=train, more="overrides")

    _add_sample(commands)

    add_gallery(commands)

    export = commands.add_parser("export", help="a finished run in another tool's form")
    export.add_argument("run", metavar="RUN", type=Path, help="a run folder")
    export.add_argument(
        "--format",
        required=True,
        choices=("kohya", "folded", "merged", "card"),
        help="a LoRA file for ComfyUI and the like; one under diffusers' names without alpha; a "
        "pipeline folder; the model card anew",
    )
    export.add_argument("--out", type=Path, help="file or folder (default: in RUN/export)")
    export.set_defaults(command=_export, parser=export, more="")

    push = commands.add_parser("push", help="upload a finished run's final/ to the hub")
    push.add_argument("run", metavar="RUN", type=Path, help="a run folder")
    push.add_argument("repository", metavar="REPOSITORY", help="owner/name on the hub")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    push.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    push.set_defaults(command=_push, parser=push, more="")

    config = commands.add_parser(
        "config", help="show a configuration, resolved, with its batch arithmetic and peak memory"
    )
    _add_config(config)
    config.add_argument(
        "--processes", type=whole_number(1), default=1, help="processes to divide among (default 1)"
    )
    config.set_defaults(command=_config, parser=config, more="overrides")

    doctor = commands.add_parser(
        "doctor", help="versions, devices, what is missing and how to get it"
    )
    doctor.set_defaults(command=_doctor, parser=doctor, more="")
    return parser


def _add_sample(commands: Any) -> None:
    sample = commands.add_parser(
        "sample", help="pictures or completions from a run, pictures from a model"
    )
    sample.add_argument(
        "model", metavar="RUN_OR_MODEL", help="a run folder, shapes, a model folder, a hub id"
    )
    sample.add_argument("--prompts", nargs="+", required=True, help="prompts, or one file of them")
    sample.add_argument("--seed", type=int, default=0, help="of the first picture (default 0)")
    sample.add_argument("--num-steps", type=whole_number(1), help="denoising steps")
    sample.add_argument("--guidance-scale", type=float, help="classifier-free guidance")
    sample.add_argument("--eta", type=float, help="weight of DDIM's noise")
    sample.add_argument("--greedy", action="store_true", help="the likeliest completions")
    sample.add_argument(
        "--out", type=Path, default=Path("pictures"), help="folder for the PNG files"
    )
    sample.set_defaults(command=_sample, parser=sample, more="")


def _add_config(parser: Parser) -> None:
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as train.iterations=20"
    )


def _train(options: argparse.Namespace) -> None:
    from ddpo.config.reading import load_config

    config = load_config(options.config, options.overrides)
    from ddpo.training import train

    train(config, resume=options.resume)


def _sample(options: argparse.Namespace) -> None:
    from ddpo.config.schema import PromptsConfig
    from ddpo.prompts import load_prompts
    from ddpo.sampling import sample

    prompts = options.prompts
    if len(prompts) == 1 and os.path.isfile(prompts[0]):  # Path.is_file raises on a long prompt
        prompts = load_prompts(PromptsConfig(file=Path(prompts[0]))).texts
    samples = sample(
        options.model,
        prompts,
        seed=options.seed,
        num_steps=options.num_steps,
        guidance_scale=options.guidance_scale,
        eta=options.eta,
        greedy=options.greedy,
    )
    images = [one for one in samples if not isinstance(one, str)]
    if not images:
        for prompt, text in zip(prompts, samples, strict=True):
            show(json.dumps({"prompt": prompt, "completion": text}, ensure_ascii=False))
        return
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: {options.out} cannot be made: {error.strerror}") from error
    for number, (prompt, image) in enumerate(zip(prompts, images, strict=True)):
        path = options.out / f"{number:04d}.png"
        image.save(path)
        show(f"{path}\t{prompt}")


def _export(options: argparse.Namespace) -> None:
    from ddpo.export.formats import export_run

    show(str(export_run(options.run, options.format, options.out)))


def _push(options: argparse.Namespace) -> None:
    from huggingface_hub import HfApi, constants, get_token

    from ddpo.export.uploading import push_run

    def confirm(plan: str) -> bool:
        show(plan)
        if options.yes:
            return True
        if not sys.stdin.isatty():
            raise UserError("there is no terminal to ask on; if that is what you want, add --yes")
        print("Upload? [y/N] ", end="", flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    address = push_run(
        options.run,
        options.repository,
        HfApi(),
        private=options.private,
        logged_in=get_token() is not None,
        offline=constants.HF_HUB_OFFLINE,
        confirm=confirm,
    )
    show(address)


def _config(options: argparse.Namespace) -> None:
    from ddpo.batching import plan_batches
    from ddpo.config.reading import load_config
    from ddpo.config.writing import dump_config
    from ddpo.memory import describe_memory

    config = load_config(options.config, options.overrides)
    plan = plan_batches(config, options.processes)
    show("\n".join([dump_config(config), *_commented(plan.describe())]))
    show("\n".join(_commented(describe_memory(config, plan))))


def _commented(text: str) -> list[str]:
    return [f"# {line}" for line in text.splitlines()]


def _doctor(options: argparse.Namespace) -> None:
    from ddpo.doctor import report

    show(report())


if __name__ == "__main__":
    run()
