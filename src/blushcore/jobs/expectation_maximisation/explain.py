"""Why an iteration takes as long as it does, in a sentence: nobody should have to guess."""

from __future__ import annotations

from collections.abc import Mapping

from blushcore.inference import Sampling
from blushcore.jobs.expectation_maximisation.expectation_inputs import poses_searched
from blushcore.jobs.expectation_maximisation.poses import Poses

_NOTABLE = 1.25
_NOTABLE_SECONDS = 2.0
_MANY = 20.0


def described(sampling: Sampling, poses: Poses) -> dict[str, float]:
    """Return the figures that an iteration's time depends on, as `why_changed` compares them.

    Parameters
    ----------
    sampling
        Of the iteration.
    poses
        What it found, and so how many poses counted in the first look, on average.
    """
    return {
        "step_deg": sampling.orientations.step_deg,
        "local": float(sampling.local is not None),
        "poses": float(poses_searched(sampling)),
        "significant": float(poses.significant.mean()),
        "current_size": float(sampling.current_size),
        "coarse_size": float(sampling.coarse_size),
        "offset_range_px": sampling.offsets.range_px,
        "offset_step_px": sampling.offsets.step_px,
    }


def why_changed(
    before: Mapping[str, float], now: Mapping[str, float], seconds_before: float, seconds: float
) -> str:
    """Return what changed between two iterations and so their time; empty if neither did much.

    Parameters
    ----------
    before, now
        From `described`; `before` is empty for the first iteration.
    seconds_before, seconds
        What they took.
    """
    if not before:
        return ""
    causes = []
    if now["local"] != before["local"]:
        causes.append("orientations are now searched near the last ones only")
    if now["step_deg"] != before["step_deg"]:
        causes.append(f"angular step {before['step_deg']:g}° → {now['step_deg']:g}°")
    offsets = ("offset_range_px", "offset_step_px")
    if any(now[name] != before[name] for name in offsets):
        causes.append(
            "offsets up to {:.3g} px by {:.3g} → up to {:.3g} px by {:.3g}".format(
                *(values[name] for values in (before, now) for name in offsets)
            )
        )
    if now["poses"] != before["poses"]:
        causes.append(f"poses an image {before['poses']:.0f} → {now['poses']:.0f}")
    most = max(now["significant"], before["significant"])
    if most > _MANY and most > _NOTABLE * min(now["significant"], before["significant"]):
        causes.append(
            f"poses that stay after the first look {before['significant']:.0f} → {now['significant']:.0f}"
        )
    for name, words in (("current_size", "image size"), ("coarse_size", "first look's image size")):
        if now[name] != before[name]:
            causes.append(f"{words} {before[name]:.0f} → {now[name]:.0f} px")
    ratio = seconds / max(seconds_before, 1e-3)
    how = ""
    if abs(seconds - seconds_before) < _NOTABLE_SECONDS:
        pass
    elif ratio > _NOTABLE:
        how = f"{ratio:.2g}× slower than the iteration before"
    elif ratio < 1 / _NOTABLE:
        how = f"{1 / ratio:.2g}× faster than the iteration before"
    if how and causes:
        return f"{how}: {'; '.join(causes)}"
    if how:
        return f"{how}, with the same search: other work on this machine, or its disk"
    return "; ".join(causes)
