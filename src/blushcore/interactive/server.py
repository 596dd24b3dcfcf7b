"""The worker's loop: requests are obeyed between two steps of the work under way."""

from __future__ import annotations

import os
import queue
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, assert_never

import torch

from blushcore.denoiser import Slice
from blushcore.denoiser.denoiser import is_out_of_memory
from blushcore.devices import describe_device
from blushcore.interactive import facts
from blushcore.interactive.arrays import ArrayFolder
from blushcore.interactive.diameter import estimate_diameter
from blushcore.interactive.maps import DenoisingKey, Maps
from blushcore.interactive.masks import MaskMaker
from blushcore.interactive.measuring import Measuring
from blushcore.interactive.messages import (
    Cancel,
    Cancelled,
    CheckFinetuning,
    CheckRefinement,
    Compare,
    Compared,
    Denoise,
    Describe,
    Described,
    Event,
    Failed,
    Focus,
    Load,
    Loaded,
    MakeDemoParticles,
    MakeMask,
    MeasureLocalResolution,
    Prepare,
    Prepared,
    Quit,
    Ready,
    Release,
    Request,
    ValidateDenoiser,
)
from blushcore.interactive.networks import Networks
from blushcore.interactive.work import Work
from blushcore.protocol import BlushError
from blushcore.shells import fsc, resolution

if TYPE_CHECKING:
    from blushcore.interactive.validations import Validating

_RESULTS_KEPT = 2
"""Those of the two halves that are compared next."""


class Server:
    """Obeys requests until there are no more.

    One piece of work at a time: another `Denoise`, `MeasureLocalResolution` or `ValidateDenoiser` ends the one
    under way; a denoising's finished blocks are kept for when it is asked for again.

    Parameters
    ----------
    requests
        What comes in; None is the end.
    send
        Takes what goes out.
    folder
        Where arrays are written.
    """

    def __init__(
        self, requests: queue.SimpleQueue[Request | None], send: Callable[[Event], None], folder: ArrayFolder
    ) -> None:
        self._requests = requests
        self._send = send
        self._folder = folder
        self._maps = Maps()
        self._networks = Networks()
        self._masks = MaskMaker(self._maps, folder)
        self._work: Work | Measuring | Validating | None = None
        self._steps: Iterator[list[Event]] = iter(())
        self._results: dict[str, torch.Tensor] = {}

    def run(self) -> None:
        """Serve; returns after `Quit` or the end of the requests."""
        self._send(Ready(pid=os.getpid(), threads=torch.get_num_threads()))
        while True:
            resting = self._work is None or self._work.idle
            try:
                request = self._requests.get(block=resting)
            except queue.Empty:
                self._step()
                continue
            if request is None or isinstance(request, Quit):
                return
            self._obey(request)

    def _obey(self, request: Request) -> None:
        try:
            self._answer(request)
        except Exception as error:
            name = getattr(request, "id", None) or getattr(request, "key", None)
            self._send(_failure(request.request, name, error))

    def _answer(self, request: Request) -> None:
        match request:
            case Load():
                self._load(request)
            case Prepare():
                self._prepare(request)
            case Denoise():
                self._begin(request)
            case Focus():
                if isinstance(self._work, Work) and self._work.id == request.id:
                    self._work.look_at(request.focus)
            case Cancel():
                if self._work is not None and self._work.id == request.id:
                    self._end()
            case Compare():
                self._compare(request)
            case MeasureLocalResolution():
                self._measure(request)
            case ValidateDenoiser():
                self._validate(request)
            case MakeMask():
                self._send(self._masks.make(request))
            case Release():
                self._maps.release(request.key)
                self._masks.forget()
            case Describe():
                self._describe(request)
            case CheckRefinement():
                from blushcore.interactive.refinements import check_refinement  # compiled loops take a while

                self._send(check_refinement(request))
            case CheckFinetuning():
                from blushcore.interactive.finetunings import check_finetuning

                self._send(check_finetuning(request))
            case MakeDemoParticles():
                from blushcore.interactive.refinements import make_demo_particles

                for event in make_demo_particles(request):
                    self._send(event)
            case Quit():
                raise AssertionError("the loop ends at this")
            case _:
                assert_never(request)

    def _load(self, request: Load) -> None:
        volume = self._maps.load(request)
        self._send(
            Loaded(
                key=request.key,
                shape=volume.shape,
                voxel_size=volume.voxel_size,
                estimated_diameter=estimate_diameter(volume) if request.role == "map" else None,
                warnings=volume.warnings,
            )
        )

    def _prepare(self, request: Prepare) -> None:
        denoiser = self._networks.warm_up(request.settings)
        assert denoiser.info is not None  # `Denoiser.load` always has it
        self._send(
            Prepared(
                weights=denoiser.info.name,
                sha256=denoiser.info.sha256,
                device=str(denoiser.device),
                device_name=describe_device(denoiser.device).name,
                precision=str(denoiser.dtype).removeprefix("torch."),
            )
        )

    def _describe(self, request: Describe) -> None:
        volume = None if request.key is None else self._maps.get(request.key)
        self._send(
            Described(
                key=request.key,
                devices=facts.device_facts(volume),
                weights=facts.weights_facts(),
                default_weights=facts.default_weights(),
                predicted_host_peak=None if volume is None else facts.host_peak(volume),
            )
        )

    def _begin(self, request: Denoise) -> None:
        self._end()
        network, denoiser = self._networks.get(request.settings)
        key = DenoisingKey(request.key, request.mask, request.settings.diameter, network)
        denoising = self._maps.denoising(key, denoiser, self._slice_in_focus)
        self._work = Work(request, denoising, denoiser, self._folder)
        self._steps = self._work.steps()

    def _slice_in_focus(self) -> Slice | None:
        return self._work.slice_in_focus() if isinstance(self._work, Work) else None

    def _measure(self, request: MeasureLocalResolution) -> None:
        self._end()
        one, two = (self._maps.get(key) for key in request.halves)
        mask = None if request.mask is None else self._maps.get(request.mask)
        self._work = Measuring(request, (one, two), mask, self._folder)
        self._steps = self._work.steps()

    def _validate(self, request: ValidateDenoiser) -> None:
        from blushcore.interactive.validations import Validating  # brings the simulation along

        self._end()
        one, two = (self._maps.get(key) for key in request.halves)
        mask = None if request.mask is None else self._maps.get(request.mask)
        _, denoiser = self._networks.get(request.settings)
        self._work = Validating(request, (one, two), mask, denoiser)
        self._steps = self._work.steps()

    def _end(self) -> None:
        """End the work under way before its end."""
        work, self._work, self._steps = self._work, None, iter(())
        if work is not None:
            self._send(Cancelled(id=work.id))

    def _step(self) -> None:
        work = self._work
        assert work is not None
        try:
            events = next(self._steps)
        except Exception as error:
            self._work = None
            self._send(_failure(work.request, work.id, error))
            return
        if work.finished:
            # Before it is told: whoever hears of the result may ask about it at once.
            if isinstance(work, Work) and work.result is not None:
                self._keep(work.id, work.result)
            self._work = None
        for event in events:
            self._send(event)

    def _keep(self, name: str, result: torch.Tensor) -> None:
        self._results[name] = result
        while len(self._results) > _RESULTS_KEPT:
            del self._results[next(iter(self._results))]

    def _compare(self, request: Compare) -> None:
        first, second = (self._maps.get(key) for key in request.halves)
        extent = first.isotropic_voxel_size * first.shape[0]
        before = fsc(first.data, second.data)
        after = None
        if request.results is not None:
            missing = [name for name in request.results if name not in self._results]
            if missing:
                raise BlushError("The denoised maps are no longer in memory.", "Denoise the halves again.")
            after = fsc(*(self._results[name] for name in request.results))
        found = resolution(before, extent)
        self._send(
            Compared(
                id=request.id,
                box_size_angstrom=extent,
                before=tuple(before.tolist()),
                after=None if after is None else tuple(after.tolist()),
                resolution_before=found.angstrom,
                reaches_nyquist=found.reaches_nyquist,
            )
        )


def _failure(request: str, name: str | None, error: Exception) -> Failed:
    problem, remedy = _explain(error)
    return Failed(
        request=request,
        id=name,
        problem=problem,
        remedy=remedy,
        error_type=type(error).__name__,
        field=getattr(error, "field", ""),
    )


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, BlushError):
        return error.problem, error.remedy
    if is_out_of_memory(error):
        return "There is too little memory for this map.", "Close other programs, or crop the map."
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}.", "Make room or choose another folder for temporary files (TMPDIR)."
    traceback.print_exc(file=sys.stderr)
    return (
        f"Unexpected {type(error).__name__}: {error}.",
        "This is a fault in blush itself: please report it with what is under 'Details'.",
    )
