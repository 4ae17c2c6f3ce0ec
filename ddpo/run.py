"""Everything one process of a run holds, made ready in the order in which it can be refused."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers.training_utils import EMAModel

from ddpo.algorithms import Algorithm
from ddpo.batching import BatchPlan, plan_batches
from ddpo.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from ddpo.config.schema import Config
from ddpo.config.writing import config_tree
from ddpo.distributed import die_with_launcher, on_main, start_accelerator
from ddpo.errors import UserError
from ddpo.lr_schedules import build_schedule
from ddpo.metrics import MetricsLog
from ddpo.optimizers import build_optimizer
from ddpo.parallelism import parallelism_of
from ddpo.policies import build_policy
from ddpo.prompts import PromptSet, load_prompts
from ddpo.run_folder import RunFolder
from ddpo.scorer import Scorer
from ddpo.sharding import trained_parameters
from ddpo.starts import record_start
from ddpo.state import TrainState
from ddpo.trajectory import Policy


@dataclass
class Run:
    """The parts of a run, on one process."""

    config: Config
    accelerator: Accelerator
    planned: BatchPlan
    prompts: PromptSet
    heldout: PromptSet
    scorer: Scorer
    folder: RunFolder
    metrics: MetricsLog
    state: TrainState
    residual_checked: bool = False

    @property
    def plan(self) -> BatchPlan:
        """What was planned, with passes as large as were found to fit the memory."""
        return self.planned.at_most(**self.state.found_sizes)

    @property
    def policy(self) -> Policy:
        """The policy being trained."""
        return self.state.policy

    def say(self, message: str) -> None:
        """One line to the user, from the main process."""
        if self.accelerator.is_main_process:
            print(message, file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write a checkpoint of the state as it is, unless there is one."""
        iteration, checkpoint = self.state.iteration, self.state.checkpoint()
        on_main(
            self.accelerator,
            lambda: save_checkpoint(
                self.folder.checkpoints, iteration, checkpoint, keep=self.config.checkpoint.keep
            ),
        )


def prepare_run(config: Config, *, resume: bool) -> Run:
    """Check everything that can be checked, load the model, and open the run folder last.

    Raises:
        UserError: anything that makes the run impossible; nothing has been written then.
    """
    die_with_launcher()
    accelerator = start_accelerator(config)
    plan = plan_batches(config, accelerator.num_processes)
    prompts = load_prompts(config.prompts)
    heldout = prompts
    if config.evaluation.prompts is not None:
        heldout = load_prompts(config.evaluation.prompts, "evaluation.prompts")
    scorer = Scorer(config, accelerator, prompts, heldout)
    set_seed(config.seed)
    policy = build_policy(config, accelerator.device, accelerator.mixed_precision)
    policy.check_prompts(prompts.texts, "prompts")
    policy.check_prompts(heldout.texts, "evaluation.prompts")
    state = _train_state(config, accelerator, policy)
    folder = on_main(
        accelerator, lambda: RunFolder.reopen(config) if resume else RunFolder.create(config)
    )
    device, processes = accelerator.device, accelerator.num_processes
    on_main(accelerator, lambda: record_start(folder.path, device, processes))
    set_seed(config.seed, device_specific=True)
    state.mark()
    metrics = MetricsLog(folder.metrics)
    run = Run(config, accelerator, plan, prompts, heldout, scorer, folder, metrics, state)
    run.say(plan.describe())
    if resume:
        _restore(run)
    return run


def start_tracker(run: Run) -> None:
    """Tell the tracker of this run, if there is one.

    Raises:
        UserError: it cannot start, as when nobody is logged in.
    """
    if run.config.tracker == "none":
        return
    failure = ""
    try:
        run.accelerator.init_trackers(run.config.name, config=_flat(config_tree(run.config)))
    except Exception as error:  # trackers have no common error
        failure = " ".join(str(error).split())[:300] or type(error).__name__

    def refuse() -> None:
        if failure:
            raise UserError(f"tracker: {run.config.tracker} cannot start: {failure}")

    on_main(run.accelerator, refuse)


def _train_state(config: Config, accelerator: Accelerator, policy: Policy) -> TrainState:
    """Optimizer, schedule, average and algorithm around a policy; its network goes behind
    accelerate's wrapper.
    """
    train = config.train
    optimizer = build_optimizer(train, list(trained_parameters(policy.network).values()))
    schedule = build_schedule(train, optimizer)
    parallelism = parallelism_of(accelerator, train.max_grad_norm)
    prepared = parallelism.prepare(policy, optimizer)
    algorithm = Algorithm(config.algorithm, policy.action_dimensions)
    state = TrainState(policy, prepared, schedule, None, algorithm, accelerator, parallelism)
    if train.ema_decay:  # of the parameters as they are now: in pieces, perhaps
        state.ema = EMAModel(state.parameters, decay=train.ema_decay)
    return state


def _restore(run: Run) -> None:
    """Go back to the newest whole checkpoint, or to the beginning where there is none."""
    path = on_main(run.accelerator, lambda: find_checkpoint(run.folder.checkpoints, run.say))
    if path is None:
        run.say(f"no whole checkpoint in {run.folder.checkpoints}: starting from the beginning")
    else:
        run.state.restore(load_checkpoint(path))
        run.say(f"resumed after iteration {run.state.iteration} from {path}")
    on_main(run.accelerator, lambda: run.metrics.keep_until(run.state.iteration if path else -1))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`section.key` → value, in the types that trackers accept."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat
