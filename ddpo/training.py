"""The loop: sample, score, compare, update; evaluate, save, and stop where nothing is lost."""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from ddpo.checkpoint import write_folder
from ddpo.collection import collect, iteration_rows
from ddpo.config.schema import Config
from ddpo.credit import Chains, Credit
from ddpo.decoder_audit import audit_decoder, audit_due
from ddpo.distributed import gathered, on_main, summed
from ddpo.errors import Interrupted, RunError, UserError, WriteError
from ddpo.evaluation import evaluate, finite_mean
from ddpo.export.card import write_card
from ddpo.fitting import fit_sampling
from ddpo.gallery import write_gallery
from ddpo.gallery.refreshing import Refresher
from ddpo.metrics import Row
from ddpo.progress import progress
from ddpo.randomness import RowGenerator
from ddpo.run import Run, prepare_run, start_tracker
from ddpo.scores import Scores, settle_failures
from ddpo.scoring import Scoring
from ddpo.stopping import StopRequest
from ddpo.trajectory import Trajectory
from ddpo.update import update_policy


def train(config: Config, *, resume: bool = False) -> Path:
    """Train a policy towards its rewards; returns the run folder.

    Args:
        config: what to do.
        resume: continue the run in its folder from the newest whole checkpoint, as if nothing had
            happened.

    Raises:
        UserError: the run is impossible as configured.
        RunError: it had to stop; its last complete iteration is saved.
        Interrupted: SIGTERM or SIGINT; likewise.
    """
    run = prepare_run(config, resume=resume)
    try:
        start_tracker(run)
        gallery = _refresher(run)
        with StopRequest(run.accelerator) as stop, _bar(run) as bar:
            if on_main(run.accelerator, run.metrics.empty):
                _record(run, evaluate(run))
            while run.state.iteration < config.train.iterations:
                row = iterate(run, stop)
                try:
                    if _due(run, config.evaluation.every):
                        row |= evaluate(run)
                finally:  # the iteration is complete, even if its evaluation fails
                    _record(run, row)
                if _due(run, config.checkpoint.every):
                    run.save()
                gallery.refresh(run.state.iteration)
                _show(bar, row)
                _stop_if_asked(run, stop)
            _finish(run)
    except UserError as error:
        if run.state.iteration == 0 and not resume:  # refused: leave nothing half-written
            on_main(run.accelerator, lambda: shutil.rmtree(run.folder.path))
        elif isinstance(error, WriteError):
            raise WriteError(
                f"{error}; the last complete checkpoint is intact: make room, then "
                f"{_how_to_resume(run)}"
            ) from error
        raise
    except RunError as error:
        if not run.state.whole:
            raise RunError(
                f"{error}\niteration {run.state.iteration + 1} was half done, so nothing was saved "
                f"beyond the newest checkpoint: {_how_to_resume(run)}"
            ) from error
        run.save()
        raise RunError(
            f"{error}\nsaved after iteration {run.state.iteration}: {_how_to_resume(run)}"
        ) from error
    finally:
        run.scorer.close()
        run.accelerator.end_training()
    return run.folder.path


def iterate(run: Run, stop: StopRequest) -> Row:
    """One sample-score-train round; returns its metrics."""
    start = time.perf_counter()
    passes = run.policy.network_passes
    scoring = run.scorer.begin()
    trajectory = _sample(run, scoring, stop)
    sampled = time.perf_counter()
    scores = scoring.finish(trajectory)
    audited = audit_decoder(run, trajectory, scores) if audit_due(run) else {}
    scored = time.perf_counter()
    prompts, credit, keep, without_spread = _compare(run, trajectory, scores)
    trajectory = trajectory.without_outputs()
    measured = credit.statistics | update_policy(run, trajectory, credit, keep)
    updated = time.perf_counter()
    state = run.state
    made = torch.tensor(run.policy.network_passes - passes, device=run.accelerator.device)
    state.iteration += 1
    state.samples_seen += len(prompts)
    state.network_passes += int(summed(run.accelerator, made))
    state.algorithm.after_iteration(measured.get("policy/kl"), len(prompts))
    return {
        "iteration": state.iteration,
        **_reward_metrics(scores),
        **audited,
        **measured,
        "samples_without_spread": without_spread,
        "policy/kl_coef": state.algorithm.kl_coef,
        "learning_rate": state.schedule.get_last_lr()[0],
        "time/sample": sampled - start,
        "time/reward": scored - sampled,
        "time/update": updated - scored,
        "samples_seen": state.samples_seen,
        "network_passes": state.network_passes,
    }


def _sample(run: Run, scoring: Scoring, stop: StopRequest) -> Trajectory:
    """This process's samples of the next iteration. Until they are all there, nothing has
    changed.
    """
    iteration = run.state.iteration + 1
    rows = iteration_rows(run.config, run.plan, run.prompts, iteration)
    mine = run.plan.rows_of(run.accelerator.process_index)
    generator = RowGenerator(run.config.seed, iteration, tuple(rows[mine]))
    return collect(
        run.policy.sample,
        run.prompts,
        generator,
        fitted=partial(fit_sampling, run),
        each=scoring.add,
        between=lambda: _stop_if_asked(run, stop),
        record_on="cpu" if run.config.train.trajectories_on == "cpu" else None,
        keep_outputs=bool(run.scorer.group_rewards),
    )


def _compare(
    run: Run, trajectory: Trajectory, scores: Scores
) -> tuple[list[str], Credit, torch.Tensor, int]:
    """All prompts of the iteration, the credit and mask of this process's samples, and how many
    samples there are, over all processes, in groups without spread.

    Credit is computed over the samples of all processes, on each of them alike.
    """
    rows = iteration_rows(run.config, run.plan, run.prompts, run.state.iteration + 1)
    prompts, _ = run.prompts.rows([prompt for prompt, _ in rows])
    rewards, keep = settle_failures(scores, run.config.reward_failures)
    if scores.failures:
        failed = len(scores.failures)
        run.say(f"{failed} samples could not be scored, such as {scores.failures[0]}")
    run.state.whole = False
    chains = None
    if trajectory.measured:
        chains = Chains.of(trajectory, partial(gathered, run.accelerator))
    credit, counted = run.state.algorithm.credit(prompts, rewards, keep, chains)
    mine = run.plan.rows_of(run.accelerator.process_index)
    return prompts, credit[mine], counted[mine], int((keep - counted).sum())


def _reward_metrics(scores: Scores) -> Row:
    """Means over what could be scored, and the spread of what is optimised.

    Totals that are standardised in each iteration have neither: they would always be the same.
    """
    finite = scores.rewards[scores.rewards.isfinite()]
    row: Row = {}
    if scores.comparable:
        row["reward/mean"] = finite_mean(finite)
        row["reward/std"] = float(finite.std(correction=0))
    row |= {f"reward/{name}": finite_mean(part) for name, part in scores.parts.items()}
    row |= {f"watch/{name}": finite_mean(part) for name, part in scores.watch.items()}
    row["samples_failed"] = len(scores.rewards) - len(finite)
    return row


def _due(run: Run, every: int) -> bool:
    """Whether something happens after this iteration; the last one is always due."""
    iteration = run.state.iteration
    return iteration % every == 0 or iteration == run.config.train.iterations


def _record(run: Run, row: Row) -> None:
    """Write metrics to the run folder and the tracker: the iteration is complete."""
    row = {"iteration": run.state.iteration, **row}
    on_main(run.accelerator, lambda: run.metrics.append(row))
    known = {name: value for name, value in row.items() if value is not None}
    run.accelerator.log(known, step=run.state.iteration)
    run.state.mark()


def _stop_if_asked(run: Run, stop: StopRequest) -> None:
    """Save and leave if any process was told to stop.

    Raises:
        Interrupted: after the state was saved.
    """
    if signal_number := stop.agreed():
        run.save()
        where = f"stopped by a signal after iteration {run.state.iteration}, which is saved"
        raise Interrupted(f"{where}: {_how_to_resume(run)}", signal_number)


def _how_to_resume(run: Run) -> str:
    return f"continue with `ddpo train {run.folder.config} --resume`"


def _refresher(run: Run) -> Refresher:
    """The page while the run goes on: of the main process alone, and no other waits for it."""
    every = run.config.gallery.every if run.accelerator.is_main_process else 0
    return Refresher(run.folder.path, every, say=run.say)


def _finish(run: Run) -> None:
    """Write the model in its home library's format, its card, and the gallery."""

    def save(folder: Path) -> None:
        run.policy.save_pretrained(folder, weights, run.config.policy.model)

    def describe() -> None:
        write_card(run.folder.final, run.folder.path, run.config)
        write_gallery(run.folder.path)

    with run.state.averaged_weights():
        weights = run.state.parallelism.weights(run.policy)
        on_main(run.accelerator, lambda: write_folder(run.folder.final, save))
    on_main(run.accelerator, describe)
    run.say(f"finished: {run.folder.final} and {run.folder.path / 'gallery' / 'index.html'}")


def _bar(run: Run):
    """The progress bar of a run."""
    return progress(
        run.config.train.iterations, run.state.iteration, shown=run.accelerator.is_main_process
    )


def _show(bar: tqdm, row: Row) -> None:
    """Advance the bar by an iteration, with its mean reward, or that of each part."""
    parts = {key.removeprefix("reward/"): row[key] for key in row if key.startswith("reward/")}
    means = {"reward": parts["mean"]} if "mean" in parts else parts
    shown = [f"{name} {mean:.4g}" for name, mean in means.items() if mean is not None]
    bar.set_postfix_str(", ".join(shown) or "no reward", refresh=False)
    bar.update()
