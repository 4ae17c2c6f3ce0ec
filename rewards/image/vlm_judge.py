"""A vision-language model as the judge of images: Zheng et al., 2023 (LLM-as-a-judge), for images.

A number asked of a model is coarse, and a prompt can talk the judge into a high one: watch it
beside a reward that nobody can talk to.
"""

import math
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from rewards.definition import Definition
from rewards.errors import RewardError, UnavailableError, one_line
from rewards.explained import Explained
from rewards.image import png
from rewards.registry import reward
from rewards.web.chat import Chat, Pace
from rewards.web.circuit import Circuit
from rewards.web.request import Refused, RequestError

QUESTION = (
    "How well does this picture show the following? {prompt}\n"
    "Answer with one number from {low} (not at all) to {high} (perfectly), and nothing else."
)
NUMBER = r"(?<![\w.-])-?\d+(?:\.\d+)?(?!\w)"
REST_SECONDS = 30.0
"""After three samples in a row without an answer, the endpoint is left alone for so long."""
OF_THE_SAMPLE = {400, 413, 415, 422}
"""Statuses by which an endpoint refuses one picture or prompt; others are about the endpoint."""

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _NoAnswer(Exception):
    """The endpoint, and not the sample, is why there is no number."""


@dataclass(frozen=True)
class _Verdict:
    """The number of one sample; NaN, with what went wrong, where there is none."""

    number: float
    problem: Exception | None = None


def _with_scale(made: "VlmJudge", definition: Definition) -> Definition:
    return replace(definition, range=made.scale)


@reward(
    "vlm_judge",
    modality="image",
    needs_prompt=True,
    deterministic=False,
    refine=_with_scale,
)
class VlmJudge:
    """The number that a vision-language model gives an image when asked how well it fits.

    The endpoint speaks the chat protocol of OpenAI, as do vLLM and others. A refusal, an answer
    without a number, and a number outside the scale are NaN.

    Args:
        model: its name at the endpoint.
        base_url: of the endpoint, up to `/v1`.
        question: what is asked; `{prompt}`, `{low}` and `{high}` are filled in.
        pattern: a regular expression that finds the number: its first group, or all of it.
        take: the "first" or the "last" number that is found.
        scale: the lowest and the highest number.
        api_key_env: the environment variable that holds the key; unset for a server without one.
        timeout: seconds for one request, with its answer.
        retries: after a time-out, a lost connection, or an answer of status 429 or 5xx.
        requests_per_minute: at most; None is no limit.
        concurrency: requests at the same time.
        temperature: of sampling; None leaves it to the endpoint.
        max_tokens: of an answer.
    """

    def __init__(
        self,
        model: str,
        base_url: str = "https://api.openai.com/v1",
        question: str = QUESTION,
        pattern: str = NUMBER,
        take: Literal["first", "last"] = "first",
        scale: tuple[float, float] = (0.0, 10.0),
        api_key_env: str = "OPENAI_API_KEY",
        timeout: Seconds = 60.0,
        retries: Annotated[int, Field(ge=0)] = 4,
        requests_per_minute: Annotated[float, Field(gt=0)] | None = None,
        concurrency: Count = 8,
        temperature: float | None = 0.0,
        max_tokens: Count = 64,
    ) -> None:
        _refuse_bad(base_url, question, pattern, scale)
        self.base_url = base_url
        self.question = question
        self.pattern = re.compile(pattern)
        self.take = take
        self.scale = scale
        self.api_key_env = api_key_env
        self.timeout = timeout
        self.retries = retries
        self.concurrency = concurrency
        self.requests_per_minute = requests_per_minute
        sampling = {} if temperature is None else {"temperature": temperature}
        self.fields = {"model": model, "max_tokens": max_tokens, **sampling}
        self._connect()

    def __call__(self, images: Float[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Explained:
        """Numbers `[B]` within the scale; NaN, with the reason, where there is none.

        Raises:
            UnavailableError: the endpoint answered for none of the samples, or refuses the key.
        """
        with ThreadPoolExecutor(self.concurrency) as executor:
            verdicts = list(executor.map(self._verdict, images.detach().cpu(), prompts))
        if verdicts and all(isinstance(verdict.problem, _NoAnswer) for verdict in verdicts):
            raise UnavailableError(f"reward 'vlm_judge': {self.base_url}: {verdicts[0].problem}")
        numbers = [verdict.number for verdict in verdicts]
        values = torch.tensor(numbers, dtype=torch.float32, device=images.device)
        problems = {row: v.problem for row, v in enumerate(verdicts) if v.problem is not None}
        return Explained(values, {row: str(problem) for row, problem in problems.items()})

    def __getstate__(self) -> dict[str, Any]:
        """Without locks, and without the state of the endpoint."""
        return {n: value for n, value in vars(self).items() if n not in {"_pace", "_circuit"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As unpickled."""
        vars(self).update(state)
        self._connect()

    def _connect(self) -> None:
        self._pace = Pace(self.requests_per_minute)
        self._circuit = Circuit(REST_SECONDS)

    def _verdict(self, image: Float[Tensor, "3 h w"], prompt: str) -> _Verdict:
        try:
            return _Verdict(self.read(self._ask(image, prompt)))
        except (_NoAnswer, RequestError, ValueError) as error:
            return _Verdict(math.nan, error)

    def _ask(self, image: Float[Tensor, "3 h w"], prompt: str) -> str:
        if not self._circuit.admits():
            raise _NoAnswer(self._circuit.problem)
        # The key is read when it is used, and never kept where it could be written to a file.
        key = os.environ.get(self.api_key_env, "")
        chat = Chat(self.base_url, self.fields, key, self.timeout, self.retries)
        low, high = (f"{bound:g}" for bound in self.scale)
        question = self.question.replace("{low}", low).replace("{high}", high)
        try:
            answer = chat.ask(question.replace("{prompt}", prompt), png.encode(image), self._pace)
        except RequestError as error:
            if isinstance(error, Refused) and error.status in OF_THE_SAMPLE:
                self._circuit.succeeded()
                raise
            problem = self._explain(error)
            self._circuit.failed(problem)
            raise _NoAnswer(problem) from error
        self._circuit.succeeded()
        return answer

    def read(self, answer: str) -> float:
        """The number in an answer.

        Raises:
            ValueError: there is none, or it is outside the scale.
        """
        found = list(self.pattern.finditer(answer))
        shown = repr(answer if len(answer) <= 80 else answer[:80] + "…")
        if not found:
            raise ValueError(f"no number in the answer {shown}")
        match = found[0 if self.take == "first" else -1]
        number = float((match[1] if self.pattern.groups else match[0]) or "")
        low, high = self.scale
        if not low <= number <= high:
            raise ValueError(f"{number:g} is outside {low:g} to {high:g}, in the answer {shown}")
        return number

    def _explain(self, error: RequestError) -> str:
        if isinstance(error, Refused) and error.status in {401, 403}:
            return f"{error}: set the variable {self.api_key_env} to a key that it takes"
        return f"{error}; check base_url and model, or raise 'timeout' or 'retries'"


def _refuse_bad(base_url: str, question: str, pattern: str, scale: tuple[float, float]) -> None:
    where = "reward 'vlm_judge'"
    if not base_url.startswith(("http://", "https://")):
        raise RewardError(f"{where}: base_url={base_url!r} does not begin with http:// or https://")
    if "{prompt}" not in question:
        raise RewardError(f"{where}: question={question!r} does not contain {{prompt}}")
    if not (math.isfinite(scale[0]) and math.isfinite(scale[1]) and scale[0] < scale[1]):
        raise RewardError(f"{where}: scale={scale} is not a lowest and a highest number")
    try:
        re.compile(pattern)
    except re.error as error:
        raise RewardError(f"{where}: pattern={pattern!r}: {one_line(error)}") from error
