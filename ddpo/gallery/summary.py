"""The top of the page in words and figures, and the settings at its foot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ddpo.gallery.changes import TOTAL, Change, from_samples
from ddpo.gallery.diversity import Diversity
from ddpo.gallery.formatting import breakable, counted, duration, escape, number, signed
from ddpo.gallery.run_folder import RunFolder

TIMES = ("time/sample", "time/reward", "time/update")

Write = Callable[[str, str], str]


def tagged(text: str, tag: str) -> str:
    """A text of the run as HTML, in an element of its own where `tag` names one."""
    return f"<{tag}>{escape(text)}</{tag}>" if tag else escape(text)


def sentence(run: RunFolder, write: Write = tagged) -> str:
    """Say in a sentence or two what was trained towards what, how far the run came, and what that
    took; `write` as in `aim`.
    """
    return f"Fine-tuning {aim(run, write)}. {progress(run, _so_far(run))}"


def aim(run: RunFolder, write: Write = tagged) -> str:
    """Say what was trained towards what.

    Args:
        run: which.
        write: from a text of the run and the element that it stands in on a page, "" for none, to
            how it is written.
    """
    model = run.section("policy").get("model")
    subject = write(str(model), "bdi") if model else "a model"
    algorithm = run.section("algorithm").get("kind")
    means = f" with {write(str(algorithm).upper(), '')}" if algorithm else ""
    rewards = ", ".join(write(name, "b") for name in run.section("rewards"))
    towards = f" towards {rewards}" if rewards else ""
    return f"{subject}{means}{towards}"


def progress(run: RunFolder, more: str = "") -> str:
    """Say how far the run came; `more` stands after what is done."""
    done, planned = run.last_iteration, run.planned_iterations
    if planned is None:
        return f"{counted(done, 'iteration')} done." if done else "No iteration has ended yet."
    if run.finished:
        return f"All {counted(planned, 'iteration')} done{more}."
    count = f"{done:,} of {counted(planned, 'iteration')} done{more}"
    return f"{count}: the run is still going, or was interrupted."


def change_cards(run: RunFolder, found: Sequence[Change], varied: Diversity | None) -> str:
    """Show the mean of each reward before and after, and how different samples are from each other,
    as large figures.
    """
    labels = ends(run)
    samples = max((change.count for change in found), default=0)
    cards = [_change_card(run, change, labels, samples) for change in found]
    if varied is not None:
        cards.append(_diversity_card(run, varied, labels))
    joined = "\n".join(cards)
    return f'<ul class="changes">\n{joined}\n</ul>' if cards else ""


def basis(run: RunFolder, found: Sequence[Change]) -> str:
    """Say what the figures are means of."""
    if not found:
        return "Nothing to compare yet: it takes two iterations, or samples of the base model."
    if not from_samples(run):
        nothing = f"there are no {run.kind.several} to compare"
        return f"Means over each iteration's training samples: {nothing}."
    samples = counted(max(change.count for change in found), run.kind.counted)
    return f"Means over {samples} made from the same prompts and seeds before and after."


def ends(run: RunFolder) -> tuple[str, str]:
    """What is compared: the names of before and after."""
    if from_samples(run):
        latest = run.sample_sets[-1].iteration
        return "base", f"{run.stage(latest)}, iteration {latest:,}"
    if not run.metrics:
        return "before", "after"
    first, last = (int(row["iteration"]) for row in (run.metrics[0], run.metrics[-1]))
    return f"iteration {first:,}", f"iteration {last:,}"


def facts(run: RunFolder) -> str:
    """List the key settings and the cost of a run."""
    terms = "\n".join(
        f"<div><dt>{term}</dt><dd><bdi>{escape(value)}</bdi></dd></div>"
        for term, value in _facts(run)
        if value
    )
    return f'<dl class="facts">\n{terms}\n</dl>' if terms else ""


def cost(run: RunFolder) -> Iterator[tuple[str, str]]:
    """What the run took, so far as its metrics say: terms and what stands for them."""
    if not run.metrics:
        return
    seconds = _seconds(run)
    per_iteration = seconds / len(run.metrics)
    yield "time", f"{duration(seconds)}, {per_iteration:.1f} s an iteration" if seconds else ""
    last = run.metrics[-1]
    for term, key in (("samples seen", "samples_seen"), ("network passes", "network_passes")):
        yield term, number(last[key], 0) if key in last else ""


def config_file(run: RunFolder, title: str = "config.yaml") -> str:
    """Show the whole configuration, folded beneath `title`."""
    if not run.config_text.strip():
        return ""
    return (
        f"<details><summary>{escape(title)}, all settings</summary>"
        f'<pre tabindex="0" aria-label="{escape(title)}">{escape(run.config_text)}</pre></details>'
    )


def _so_far(run: RunFolder) -> str:
    """How many samples training took, and how long, where it is known."""
    if not run.metrics or "samples_seen" not in run.metrics[-1]:
        return ""
    seconds = _seconds(run)
    time = f" and {duration(seconds)}" if seconds else ""
    return f", with {counted(int(run.metrics[-1]['samples_seen']), 'sample')}{time}"


def _seconds(run: RunFolder) -> float:
    return sum(row.get(key, 0.0) for row in run.metrics for key in TIMES)


def _change_card(run: RunFolder, change: Change, labels: tuple[str, str], samples: int) -> str:
    remarks = []
    if change.spread:
        remarks.append(f"{signed(change.delta / change.spread, 1)} sd of base {run.kind.counted}s")
    if change.count < samples:
        scored = f"{change.count:,} of {counted(samples, run.kind.counted)} scored"
        remarks.append(f"only {scored}")
    tone = "watch" if change.watched else "reward"
    return _card((tone, _kind(run, change), breakable(change.name)), change, labels, remarks)


def _diversity_card(run: RunFolder, varied: Diversity, labels: tuple[str, str]) -> str:
    left = [f"{varied.after / varied.before:.0%} of the base's"] if varied.before else []
    return _card(("watch", run.kind.diversity, "diversity"), varied, labels, left)


def _card(
    titles: tuple[str, str, str],
    pair: Change | Diversity,
    labels: tuple[str, str],
    remarks: Sequence[str],
) -> str:
    """A figure before and after. `titles` are its tone, its kind and its name."""
    tone, kind, name = titles
    before, after = (number(value, pair.decimals) for value in (pair.before, pair.after))
    remark = f' <span class="muted">{", ".join(remarks)}</span>' if remarks else ""
    return (
        f'<li class="{tone}"><p class="kind">{kind}</p><h3>{name}</h3><p class="figures">'
        f'<span><small>{labels[0]}</small>{before}</span><i aria-hidden="true">→</i>'
        f"<span><small>{labels[1]}</small>{after}</span></p>"
        f'<p class="delta">{signed(pair.after - pair.before, pair.decimals)}{remark}</p></li>'
    )


def _kind(run: RunFolder, change: Change) -> str:
    if change.watched:
        return "watched, never optimised"
    if change.name == TOTAL:
        return "product" if run.section("combine").get("kind") == "product" else "weighted sum"
    role = _role(run.section("rewards").get(change.name))
    return f"reward, {escape(role)}" if role else "reward"


def _role(setting: object) -> str:
    """How a reward counts: its weight, or the threshold of a gate."""
    if isinstance(setting, Mapping) and "gate" in setting:
        return f"a gate at {setting['gate']}"
    return f"weight {weight}" if (weight := _weight(setting)) else ""


def _weight(setting: object) -> str:
    value = setting.get("weight", "") if isinstance(setting, Mapping) else setting or ""
    return str(value)


def _named(name: str, setting: object) -> str:
    weight = _weight(setting)
    return f"{name} × {weight}" if weight else f"{name}, {_role(setting) or 'weight 1'}"


def _facts(run: RunFolder) -> Iterator[tuple[str, str]]:
    policy, train = run.section("policy"), run.section("train")
    yield "model", str(policy.get("model", ""))
    yield "algorithm", _settings(run.section("algorithm"), first="kind")
    yield "policy", _policy(policy, run.kind.policy_keys)
    yield "weights trained", _trained(run)
    yield "prompts", _settings(run.section("prompts"))
    rewards = run.section("rewards").items()
    yield "rewards", "; ".join(_named(name, setting) for name, setting in rewards)
    yield "combined as", _combined(run)
    watch = run.config.get("watch")
    yield "watched", ", ".join(map(str, watch)) if isinstance(watch, list | dict) else ""
    yield "training", _settings(train)
    yield "seed", str(run.config.get("seed", ""))
    yield from cost(run)


def _policy(policy: Mapping[str, Any], keys: Sequence[str] | None) -> str:
    plain = {key: policy[key] for key in policy if key not in ("kind", "model")}
    return _settings(plain) if keys is None else _pairs(policy, keys)


def _combined(run: RunFolder) -> str:
    if len(run.section("rewards")) < 2:
        return ""
    section = run.section("combine")
    kind = str(section.get("kind", "sum")).replace("_", " ")
    return f"{kind}, within each {section.get('within')}" if "normalised" in kind else kind


def _trained(run: RunFolder) -> str:
    if not run.config:
        return ""
    lora = _settings(run.section("lora"))
    return f"LoRA, {lora}" if lora else "all"


def _settings(section: Mapping[str, Any], first: str = "") -> str:
    """Write a section's plain values on one line, the value of `first` without its key."""
    keys = [key for key in section if key != first and isinstance(section[key], str)]
    rest = _pairs(section, keys)
    return ", ".join(text for text in (str(section.get(first, "")), rest) if text)


def _pairs(section: Mapping[str, Any], keys: Sequence[str]) -> str:
    shown = [key for key in keys if section.get(key) not in (None, "", "null")]
    return ", ".join(f"{key.replace('_', ' ')} {section[key]}" for key in shown)
