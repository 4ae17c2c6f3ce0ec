"""Property of a differentiable reward: its gradient is that of its numbers."""

from rewards.errors import RewardError
from rewards.options import build, options_of
from rewards.scoring import Reward
from rewards.testing.case import Case
from rewards.testing.finding import Broken, NotChecked


def gradient(case: Case) -> None:
    """The gradient of two smooth images, of one prompt, agrees with finite differences.

    Where gradients are an option, called `differentiable`, it is switched on.
    """
    if case.kind == "text":
        raise NotChecked("texts have no gradient")
    made = _with_gradients(case.reward)
    if not made.definition.differentiable:
        raise NotChecked("declared not differentiable")
    from rewards.testing.finite_differences import disagreement

    if problem := disagreement(made.function, case.batch.rows([0, 0])):
        raise Broken(problem)


def _with_gradients(reward: Reward) -> Reward:
    if "differentiable" not in options_of(reward.definition):
        return reward
    if reward.options.get("differentiable"):
        return reward
    try:
        return build(reward.definition, {**reward.options, "differentiable": True})
    except RewardError as error:  # it may exclude another option, such as offload
        raise NotChecked(str(error)) from error
