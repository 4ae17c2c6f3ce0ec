"""Names to definitions, found in four places and imported only when used.

1. Built-in rewards: the table below.
2. The decorator `reward`, wherever the program has already imported it.
3. Entry points of installed packages, group `ddpo.rewards`.
4. A name of the form `module:attribute`, which needs no installation.

A name belongs to one reward. Nothing here imports a tensor library.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from rewards.definition import DIRECTIONS, MODALITIES, Definition, Weights
from rewards.errors import RewardError, did_you_mean, one_line

if TYPE_CHECKING:
    from rewards.scoring import Reward

ENTRY_POINT_GROUP = "ddpo.rewards"

BUILT_IN = {
    "aesthetic": "rewards.image.aesthetic:Aesthetic",
    "bleu": "rewards.text.bleu:bleu",
    "chrf": "rewards.text.chrf:chrf",
    "classifier": "rewards.text.classifier:Classifier",
    "clip_alignment": "rewards.image.clip:ClipAlignment",
    "code_compiles": "rewards.code.compile:code_compiles",
    "code_tests": "rewards.code.unit_tests:CodeTests",
    "diversity": "rewards.image.diversity:Diversity",
    "exact_match": "rewards.text.exact_match:exact_match",
    "hps": "rewards.image.hps:Hps",
    "image_reward": "rewards.image.image_reward:ImageReward",
    "jpeg_compressibility": "rewards.image.compressibility:jpeg_compressibility",
    "jpeg_incompressibility": "rewards.image.compressibility:jpeg_incompressibility",
    "length": "rewards.text.length:length",
    "pickscore": "rewards.image.pickscore:PickScore",
    "regex": "rewards.text.regex:regex",
    "remote": "rewards.remote.client:Remote",
    "repetition": "rewards.text.repetition:repetition",
    "rouge": "rewards.text.rouge:rouge",
    "text_compressibility": "rewards.text.compressibility:text_compressibility",
    "vlm_judge": "rewards.image.vlm_judge:VlmJudge",
}

_ATTRIBUTE = "__reward_definition__"
# A configuration writes these beside the options.
RESERVED_OPTIONS = {"weight", "gate", "otherwise", "reward"}

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """A place, `module:attribute`, that says a name is its own, and where that was said."""

    place: str
    origin: str

    def __str__(self) -> str:
        return f"{self.place} ({self.origin})"


_decorated: dict[str, Definition] = {}


def reward(
    name: str,
    *,
    modality: str,
    columns: tuple[str, ...] = (),
    range: tuple[float, float] | None = None,
    unit: str = "",
    direction: str = "higher",
    deterministic: bool = True,
    differentiable: bool = False,
    group: bool = False,
    needs_prompt: bool = False,
    cpu_bound: bool = False,
    licence: str = "",
    weights: tuple[Weights, ...] = (),
    refine: Callable[[Any, Definition], Definition] | None = None,
) -> Callable[[Factory], Factory]:
    """Register a function, or a class whose instances are called, as the reward `name`.

    The decorated object stays what it is. Its description is the first sentence of its docstring.
    Options are the `__init__` parameters of a class, the keyword-only parameters of a function;
    each has an annotation, by which the text of a configuration is read.

    Args:
        name: lower-case letters, digits and underscores.
        modality: "image" scores images `[B, 3, H, W]` in [0, 1], "text" a list of texts, "any"
            either.
        columns: dataset columns that are passed as keyword arguments, each a list of `B` values.
        range: lowest and highest possible value.
        unit: unit of the number, such as kB.
        direction: whether the described quantity is better "higher" or "lower"; the number returned
            is always better higher.
        deterministic: the same input gives the same number.
        differentiable: gradients flow from the number to the image.
        group: a sample's number depends on the other samples of its prompt.
        needs_prompt: compares a sample with its prompt, and cannot do without one.
        cpu_bound: computes in Python on one core, so that a pool of processes helps.
        licence: licence of the weights that it loads.
        weights: the files that it loads by default, with their checksums.
        refine: `(made, definition) -> definition`, for what is known only once it is made.

    Raises:
        RewardError: the name is malformed or taken, a declared column is not a parameter, an option
            has no annotation, or the instances of a class cannot be called.
    """

    def register(factory: Factory) -> Factory:
        definition = Definition(
            name=name,
            factory=factory,
            place=f"{factory.__module__}:{factory.__qualname__}",
            modality=modality,
            description=_first_sentence(factory.__doc__),
            columns=tuple(columns),
            range=range,
            unit=unit,
            direction=direction,
            deterministic=deterministic,
            differentiable=differentiable,
            group=group,
            needs_prompt=needs_prompt,
            cpu_bound=cpu_bound,
            licence=licence,
            weights=tuple(weights),
            refine=refine,
        )
        _refuse_malformed(definition)
        _refuse_taken(definition)
        _decorated[name] = definition
        setattr(factory, _ATTRIBUTE, definition)
        return factory

    return register


def names() -> list[str]:
    """All names that can be made, sorted; imports none of them."""
    return sorted({*BUILT_IN, *_decorated, *(point.name for point in _installed())})


def claims(name: str) -> list[Claim]:
    """Where `name` is defined: one place, or several when installed packages disagree.

    Built-in rewards come first and cannot be taken by others, so that a package that tries costs
    only its own users.
    """
    claimed = []
    if name in BUILT_IN:
        claimed.append(Claim(BUILT_IN[name], "built in"))
    if name in _decorated:
        claimed.append(Claim(_decorated[name].place, "decorated in this program"))
    claimed += [Claim(p.value, _package(p)) for p in _installed() if p.name == name]
    return [
        claim
        for i, claim in enumerate(claimed)
        if not any(_same_place(claim.place, earlier.place) for earlier in claimed[:i])
    ]


def definition(name: str) -> Definition:
    """The definition of a registered name or of `module:attribute`; imports its module.

    Raises:
        RewardError: the name is unknown or claimed twice, or its module cannot be imported.
    """
    if ":" in name:
        return _load(name, Claim(name, "module:attribute"))
    claimed = claims(name)
    if not claimed:
        known = names()
        hint = did_you_mean(name, known) or "."
        raise RewardError(f"unknown reward '{name}'{hint} Known: {', '.join(known)}")
    if len(claimed) > 1 and name not in BUILT_IN:
        places = " and ".join(map(str, claimed))
        raise RewardError(
            f"reward '{name}' is defined twice: {places}; remove one, or write module:attribute"
        )
    found = _decorated[name] if name in _decorated else _load(name, claimed[0])
    if found.name != name:
        raise RewardError(f"reward '{name}': {claimed[0]} calls itself '{found.name}'")
    return found


def make(name: str, /, **options: Any) -> "Reward":
    """Build the reward `name`, which may load its model; options are checked by declared type.

    Raises:
        RewardError: the name or an option is unknown, a value is bad, or a model cannot be loaded.
    """
    from rewards.options import build

    found = definition(name)
    return build(found, options)


def attached(thing: object) -> Definition | None:
    """The definition that the decorator attached to this very object; None if it has none."""
    found = getattr(thing, _ATTRIBUTE, None)
    # A subclass inherits the attribute without being registered.
    return found if isinstance(found, Definition) and found.factory is thing else None


def _load(name: str, claim: Claim) -> Definition:
    module_name, _, attribute = claim.place.partition(":")
    try:
        thing = importlib.import_module(module_name)
        for part in attribute.split("."):
            thing = getattr(thing, part)
    # A plugin may raise anything while it is imported; its users are told, nobody else is affected.
    except (Exception, SystemExit) as error:
        raise RewardError(
            f"reward '{name}' from {claim} cannot be loaded: {one_line(error)}"
        ) from error
    found = attached(thing)
    if found is None:
        raise RewardError(
            f"reward '{name}' from {claim} is not a reward: decorate it with @reward(…)"
        )
    return found


def _installed() -> list[EntryPoint]:
    return list(entry_points(group=ENTRY_POINT_GROUP))


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else "entry point"


def _first_sentence(docstring: str | None) -> str:
    paragraph = inspect.cleandoc(docstring or "").split("\n\n")[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def _refuse_malformed(new: Definition) -> None:
    where = f"reward '{new.name}' ({new.place})"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", new.name):
        raise RewardError(f"{where}: a name is lower-case letters, digits and underscores")
    for word, known in ((new.modality, MODALITIES), (new.direction, DIRECTIONS)):
        if word not in known:
            raise RewardError(f"{where}: {word!r} is not one of {', '.join(known)}")
    if inspect.isclass(new.factory) and not issubclass(new.factory, Callable):
        raise RewardError(f"{where}: its instances cannot be called: give the class a __call__")
    called = _called(new.factory)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in called.values())
    missing = [column for column in new.columns if column not in called]
    if missing and not takes_any:
        raise RewardError(f"{where}: column '{missing[0]}' is declared but is not a parameter")
    reserved = RESERVED_OPTIONS.intersection(inspect.signature(new.factory).parameters)
    if reserved - set(new.columns):
        raise RewardError(f"{where}: '{reserved.pop()}' cannot be the name of an option")
    untyped = [name for name, o in new.options.items() if o.annotation is o.empty]
    if untyped:
        raise RewardError(
            f"{where}: option '{untyped[0]}' has no type, so that the text of a configuration "
            f"could not be read: annotate it, such as {untyped[0]}: float"
        )


def _called(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    function = factory.__call__ if inspect.isclass(factory) else factory
    return dict(inspect.signature(function).parameters)


def _refuse_taken(new: Definition) -> None:
    claimed = claims(new.name)
    if new.name in BUILT_IN or new.name in _decorated:
        claimed = claimed[:1]  # what is built in or already imported keeps its name
    if claimed and not any(_same_place(claim.place, new.place) for claim in claimed):
        raise RewardError(f"reward '{new.name}' of {new.place} is already defined by {claimed[0]}")


def _same_place(one: str, other: str) -> bool:
    """Whether two places hold the same definition.

    A file may be run as `__main__` and imported too; a package may export what its module defines.
    """
    (module, _, name), (other_module, _, other_name) = one.partition(":"), other.partition(":")
    return name == other_name and (
        module == other_module
        or module.startswith(f"{other_module}.")
        or other_module.startswith(f"{module}.")
        or _file(module) == _file(other_module)
    )


def _file(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or module
