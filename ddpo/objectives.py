"""Losses: pure functions over `[B, A]`, one equation each. None knows of devices, configurations or
models.

Each returns the loss of every action, 0 where masked; the caller divides the sum by the *global*
count of actions, so that the gradient depends neither on micro-batches nor on processes.
`advantages` broadcast over actions.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, maximum, where

PerAction = Float[Tensor, "b a"]
Advantages = Float[Tensor, "b #a"]  # one a sample, or one an action
Errors = Float[Tensor, "b a *latent"]

MAX_LOG_RATIO = 20.0
"""Log-ratios are clamped to ± this before the exponential, so that none overflows."""

SMALLEST_ERROR = 1e-5
"""Squared errors are divided by no less than this, as published with DiffusionNFT."""


def score_function(log_probs: PerAction, advantages: Advantages, mask: PerAction) -> PerAction:
    """REINFORCE: −A·log π (Williams 1992; DDPO-SF, Black et al. 2024, eq. 5).

    With `advantages.exponential_weights` in place of A it is reward-weighted regression (Peters &
    Schaal 2007).
    """
    return -advantages * log_probs * mask


def clipped_surrogate(
    log_probs: PerAction,
    old_log_probs: PerAction,
    advantages: Advantages,
    mask: PerAction,
    *,
    clip_range: float,
    dual_clip: float | None = None,
) -> PerAction:
    """PPO: max(−A·r, −A·clip(r, 1−c, 1+c)) (Schulman et al. 2017, eq. 7; DDPO-IS, Black et al.
    2024, eq. 6).

    With `dual_clip` d > 1 the loss where A < 0 is at most −A·d (Ye et al. 2020, eq. 5).
    """
    r = ratio(log_probs, old_log_probs)
    loss = maximum(-advantages * r, -advantages * r.clamp(1 - clip_range, 1 + clip_range))
    if dual_clip is not None:
        loss = where(advantages < 0, loss.minimum(-advantages * dual_clip), loss)
    return loss * mask


def guarded_log_ratio(
    log_probs: PerAction,
    old_log_probs: PerAction,
    squared_mean_shift: PerAction,
    step_scale: PerAction,
) -> PerAction:
    """Log of GRPO-Guard's ratio, Δlog p·s + mean((μ − μ_old)²)/2s (Wang et al. 2025): unbiased over
    steps.

    Args:
        log_probs: of the policy, mean over latent dimensions.
        old_log_probs: of the policy that sampled.
        squared_mean_shift: mean over latent dimensions of (μ − μ_old)².
        step_scale: s, the std of each step.
    """
    return (log_probs - old_log_probs) * step_scale + squared_mean_shift / (2 * step_scale)


def diffusion_nft(
    error: Errors,
    old_error: Errors,
    noise_level: PerAction,
    advantages: Advantages,
    mask: PerAction,
    *,
    mixing: float,
    advantage_clip: float,
) -> PerAction:
    """DiffusionNFT (Zheng et al. 2025, arXiv 2509.16117, with its adaptive weights).

    c/β · (q·w⁺‖v⁺ − u‖² + (1−q)·w⁻‖v⁻ − u‖²), where u = ε − x0 is the velocity to match,
    v⁺ = βv + (1−β)v_old and v⁻ = (1+β)v_old − βv are the implicit policies, and
    q = clip(A/2c + ½, 0, 1) is how likely the sample is a good one. w = σ²/sg(σ·mean|v± − u|) makes
    each the squared error of x0 over its mean absolute error.

    Args:
        error: v − u.
        old_error: v_old − u, of the policy that sampled.
        noise_level: σ, in (0, 1].
        advantages: A.
        mask: 1 where an action counts.
        mixing: β.
        advantage_clip: c.
    """
    good = (advantages / (2 * advantage_clip) + 0.5).clamp(0, 1)
    plus = _relative_error(mixing * error + (1 - mixing) * old_error, noise_level)
    minus = _relative_error((1 + mixing) * old_error - mixing * error, noise_level)
    return advantage_clip / mixing * (good * plus + (1 - good) * minus) * mask


def _relative_error(velocity_error: Errors, noise_level: PerAction) -> PerAction:
    """Mean squared error of x0 over its mean absolute error, which is taken as a constant."""
    squared = noise_level.square() * velocity_error.square().flatten(2).mean(2)
    size = noise_level * velocity_error.detach().abs().flatten(2).mean(2)
    return squared / size.clamp(min=SMALLEST_ERROR)


def explained_variance(values: PerAction, returns: PerAction, mask: PerAction) -> Float[Tensor, ""]:
    """1 − Var(R − v)/Var(R) over the actions that count: 1 for a critic that knows, 0 for one that
    says the mean, and NaN where all returns are the same.
    """
    count = mask.sum()

    def variance(x: Tensor) -> Tensor:
        return ((x - (x * mask).sum() / count).square() * mask).sum() / count

    return 1 - variance(returns - values) / variance(returns)


def value_loss(
    values: PerAction,
    old_values: PerAction,
    returns: PerAction,
    mask: PerAction,
    *,
    clip_range: float,
) -> PerAction:
    """Clipped value regression ½·max((v−R)², (clip(v, v_old ± c)−R)²) (Schulman et al. 2017, PPO's
    code).
    """
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return 0.5 * maximum((values - returns).square(), (clipped - returns).square()) * mask


def ratio(log_probs: PerAction, old_log_probs: PerAction) -> PerAction:
    """Importance ratio r = π/π_old, its logarithm clamped to ±`MAX_LOG_RATIO`."""
    return (log_probs - old_log_probs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def clip_fraction(
    log_probs: PerAction, old_log_probs: PerAction, mask: PerAction, *, clip_range: float
) -> PerAction:
    """1 where the ratio left [1−c, 1+c], else 0."""
    return ((ratio(log_probs, old_log_probs) - 1).abs() > clip_range) * mask


def kl_k1(log_probs: PerAction, ref_log_probs: PerAction) -> PerAction:
    """D = log π − log π_ref: unbiased, high variance (Schulman 2020, "Approximating KL
    divergence").
    """
    return log_probs - ref_log_probs


def kl_k2(log_probs: PerAction, ref_log_probs: PerAction) -> PerAction:
    """d²/2: biased, low variance, never negative (Schulman 2020)."""
    return 0.5 * (log_probs - ref_log_probs).square()


def kl_k3(log_probs: PerAction, ref_log_probs: PerAction) -> PerAction:
    """e^(−d) − 1 + d: unbiased, low variance, never negative (Schulman 2020)."""
    difference = log_probs - ref_log_probs
    return (-difference).exp() - 1 + difference


def adapted_kl_coef(
    kl_coef: float, kl: float, *, target: float, samples: int, horizon: float
) -> float:
    """Proportional control of the KL coefficient (Ziegler et al. 2019, eq. 4).

    kl_coef × (1 + clip(kl/target − 1, ±.2)·samples/horizon). `kl` and `target` share a unit: that
    of `kl_k*` or of `Gaussian.kl`, nats per action (and latent dimension).
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * samples / horizon)
