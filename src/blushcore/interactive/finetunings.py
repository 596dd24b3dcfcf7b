"""Fine-tunings before they begin: are the half-maps fit for it."""

from __future__ import annotations

from blushcore.devices import describe_device, resolve_device
from blushcore.interactive.messages import CheckFinetuning, FinetuningChecked
from blushcore.jobs.finetune.parameters import FinetuneParameters
from blushcore.jobs.finetune.preflight import check_inputs


def check_finetuning(request: CheckFinetuning) -> FinetuningChecked:
    """Do what a fine-tuning does before it begins, and say what was found.

    Raises
    ------
    BlushError
        When it could not begin; its ``field`` names the parameter.
    """
    params = FinetuneParameters.parse(request.parameters, "The fine-tuning")
    inputs = check_inputs(params)
    device = describe_device(resolve_device(params.device))
    return FinetuningChecked(
        id=request.id,
        resolution=inputs.pair.resolution,
        diameter=inputs.pair.diameter,
        device=device.device,
        device_name=device.name,
        warnings=inputs.warnings,
    )
