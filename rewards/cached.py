"""A reward that scores nothing twice: numbers are kept under the content they were given for.

The key of a number is a hash of the sample, its prompt, its columns, and of the reward: what it
declares, its options, the file that defines it, and the state of files that its options name.
Weights that change under an unchanged name (on a hub, in an installed package) are not seen.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rewards.around import Around
from rewards.cache import Cache
from rewards.definition import Definition
from rewards.errors import RewardError, one_line
from rewards.explained import renumbered
from rewards.modality import Modality, modality_of
from rewards.scoring import Failure, Reward, RewardLike, Scored


class Cached(Around):
    """A reward behind a cache. Only for rewards that score each sample alone, and always alike.

    Args:
        reward: what scores where the cache does not know.
        cache: may be shared with other rewards.
        fingerprint: of the reward: see `fingerprint`.
    """

    def __init__(self, reward: RewardLike, cache: Cache, fingerprint: bytes) -> None:
        super().__init__(reward)
        self.cache = cache
        self._fingerprint = fingerprint

    def score(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Scored:
        """See `Reward.score`. Failures are not kept: they are tried again. Of a number that is
        known, details are not.

        Raises:
            RewardError: as `Reward.score` does; or a column is not JSON.
        """
        given = {name: (columns or {}).get(name, ()) for name in self.definition.columns}
        modality = modality_of(self.definition.modality, samples)
        uneven = any(len(values) != len(prompts) for values in (samples, *given.values()))
        if modality.malformed(samples) or uneven:
            return self.reward.score(samples, prompts, columns)  # which says what is wrong
        keys = self._keys(samples, prompts, given, modality)
        known = self.cache.get(keys)
        old = [row for row, key in enumerate(keys) if key in known]
        new = [row for row, key in enumerate(keys) if key not in known]
        values, failures, details = modality.missing(samples), (), {}
        if old:
            numbers = modality.numbers([known[keys[row]] for row in old], keep_graph=False)
            values = modality.place(values, old, numbers)
        if new:
            scored = self._score_rows(samples, prompts, given, new)
            values = modality.place(values, new, scored.values)
            failures, details = scored.failures, scored.details
            array, failed = modality.array(values), {failure.row for failure in failures}
            self.cache.put({keys[row]: float(array[row]) for row in new if row not in failed})
        return Scored(values, failures, details)

    def _score_rows(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        rows: Sequence[int],
    ) -> Scored:
        """Some rows of a batch; failures and details are numbered as in the batch."""
        modality = modality_of(self.definition.modality, samples)
        scored = self.reward.score(
            modality.take(samples, rows),
            [prompts[row] for row in rows],
            {name: [values[row] for row in rows] for name, values in columns.items()},
        )
        failures = (Failure(f.reward, rows[f.row], f.prompt, f.reason) for f in scored.failures)
        return Scored(scored.values, tuple(failures), renumbered(scored.details, rows))

    def _keys(
        self,
        samples: Any,
        prompts: Sequence[str],
        columns: Mapping[str, Sequence[Any]],
        modality: Modality,
    ) -> list[bytes]:
        keys = []
        for row, digest in enumerate(modality.digests(samples)):
            given = {name: self._plain(name, values[row]) for name, values in columns.items()}
            text = json.dumps([prompts[row], given], sort_keys=True).encode()
            keys.append(hashlib.sha256(self._fingerprint + digest + text).digest())
        return keys

    def _plain(self, column: str, value: Any) -> str:
        """A value of a column as JSON: whatever else it could be known by, such as `repr`, may be
        that of other values too.
        """
        try:
            return json.dumps(value, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise RewardError(
                f"reward '{self.name}': column '{column}' cannot be a key of the cache: "
                f"{one_line(error)}; make its values texts, numbers and lists, or set "
                "scoring.cache to null"
            ) from error


def fingerprint(reward: Reward) -> bytes:
    """What a reward's numbers depend on besides its input, as a hash of 32 bytes.

    Raises:
        RewardError: no file defines it, or an option is an object whose content cannot be read.
    """
    definition = reward.definition
    declared = {
        field.name: repr(getattr(definition, field.name))
        for field in fields(definition)
        if field.name not in ("factory", "refine")
    }
    source = hashlib.sha256(_source(definition)).hexdigest()
    options = {
        name: [_option(definition, name, value), _files(value)]
        for name, value in reward.options.items()
    }
    text = json.dumps([declared, source, options], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _source(definition: Definition) -> bytes:
    """The file that defines a reward."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(definition.factory))
        if file:
            return Path(file).read_bytes()
    except (OSError, TypeError):  # of what was typed: a file that is not there, or no module's
        pass
    raise RewardError(
        f"reward '{definition.name}' cannot be cached: no file defines {definition.place}, so that "
        "a change of it would not be seen; put it into a file, or set scoring.cache to null"
    )


def _option(definition: Definition, name: str, value: Any) -> str:
    """The content of an option's value, as JSON."""
    try:
        return TypeAdapter(Any).dump_json(value).decode()
    except ValueError as error:
        raise RewardError(
            f"reward '{definition.name}' cannot be cached: option '{name}' is {value!r:.80}, whose "
            "content cannot be read; give a plain value, or set scoring.cache to null"
        ) from error


def _files(value: Any) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the files that an option names: one, or all of a folder."""
    if not isinstance(value, str | Path) or not value:
        return []
    try:
        path = Path(value)
        found = [path, *sorted(path.rglob("*"))] if path.exists() else []
        states = [(str(file), file.stat()) for file in found if file.is_file()]
    except (OSError, ValueError):  # a text that is no path, such as a long one
        return []
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states]
