"""Batches ahead of need: worker processes make volumes, a thread cuts blocks while the network works."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from blushcore.protocol import BlushError
from blushcore.training.augmentation import PreparedVolume
from blushcore.training.samples import Example, TrainingBlocks, VolumeKey

_VOLUMES_AHEAD = 2
"""How many volumes a worker makes before they are asked for."""


class BatchStream:
    """Batches in order, without end; used between ``with``'s begin and end.

    Making a volume (simulation and filters, about a second) costs a hundred times what cutting a block out of
    it does. So volumes are what workers make, each one once and in the order in which the examples need them;
    the window of volumes in play is kept here.

    Parameters
    ----------
    examples
        Where they come from.
    first
        Number of the first example.
    batch_size
        Examples a batch.
    workers
        Processes that make volumes; with 0 they are made in this process, as they are where the examples have
        a device of their own.
    """

    def __init__(self, examples: TrainingBlocks, first: int, batch_size: int, workers: int) -> None:
        self._batches = batches(examples, first, batch_size, workers)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: Future[Example] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The generator ends in the thread that it runs in, after what it is in the middle of.
        self._thread.submit(self._batches.close)
        self._thread.shutdown()

    def take(self, timeout: float) -> Example | None:
        """Return the next batch, or None when it is not there within `timeout` seconds.

        Raises
        ------
        BlushError
            When one of its volumes cannot be made, or a worker was killed.
        """
        if self._next is None:
            self._next = self._thread.submit(next, self._batches)
        try:
            batch = self._next.result(timeout)
        except TimeoutError:
            return None
        self._next = self._thread.submit(next, self._batches)
        return batch


def batches(
    examples: TrainingBlocks, first: int, batch_size: int, workers: int
) -> Generator[Example, None, None]:
    """Yield batches from example `first` on; see `BatchStream`."""
    made = _made(examples, first, batch_size, workers)
    if examples.device is not None and examples.device.type == "cuda":
        made = _beside_the_training(examples.device, made)
    return made


def _beside_the_training(
    device: torch.device, made: Generator[Example, None, None]
) -> Generator[Example, None, None]:
    """Make batches on a stream of their own, so that they wait for no step, and no step for them."""
    trains_on = torch.cuda.current_stream(device)
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    while True:
        with torch.cuda.stream(stream):
            batch = next(made)
        stream.synchronize()
        for part in batch:  # its memory is not given away before the step that uses it is done
            part.record_stream(trains_on)
        yield batch


def _made(
    examples: TrainingBlocks, first: int, batch_size: int, workers: int
) -> Generator[Example, None, None]:
    volumes = _by_workers(examples, first, workers) if examples.device is None else _here(examples, first)
    kept: dict[VolumeKey, PreparedVolume] = {}
    index = first
    while True:
        batch = []
        for number in range(index, index + batch_size):
            wanted = examples.volume_of(number)
            while wanted not in kept:
                key, volume = next(volumes)
                kept[key] = volume
            batch.append(examples.cut(number, kept[wanted]))
        index += batch_size
        kept = {key: volume for key, volume in kept.items() if not examples.is_past(key, index)}
        yield default_collate(batch)


def _here(examples: TrainingBlocks, first: int) -> Iterator[tuple[VolumeKey, PreparedVolume]]:
    """Make volumes in this process, on the examples' device."""
    for key in _keys_in_order(examples, first):
        yield key, examples.volume(key)


def _by_workers(
    examples: TrainingBlocks, first: int, workers: int
) -> Iterator[tuple[VolumeKey, PreparedVolume]]:
    """Let workers make volumes, ahead of need."""
    loader = iter(
        DataLoader(
            _Volumes(examples),
            sampler=_keys_in_order(examples, first),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=_VOLUMES_AHEAD if workers else None,
            worker_init_fn=_prepare_worker,
            collate_fn=_as_it_is,
        )
    )
    while True:
        key, made = _next(loader)
        if isinstance(made, BlushError):
            raise made
        yield key, PreparedVolume(*(torch.from_numpy(array) for array in made))


def _next(loader: Iterator[Any]) -> Any:
    try:
        return next(loader)
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error) and "killed by signal" not in str(error):
            raise
        raise BlushError(
            "A process that simulates half-maps for the training was killed.",
            "If memory ran out, use fewer workers or leave out the largest models; then resume the run.",
        ) from error


def _keys_in_order(examples: TrainingBlocks, first: int) -> Iterator[VolumeKey]:
    """Every volume once, in the order in which the examples need them."""
    seen: set[VolumeKey] = set()
    index = first
    while True:
        key = examples.volume_of(index)
        if key not in seen:
            seen = {other for other in seen if not examples.is_past(other, index)} | {key}
            yield key
        index += 1


class _Volumes(Dataset[Any]):
    """Volumes by key, as arrays: tensors would travel through shared memory, which is scarce in containers.

    An error for the user travels as a value, or it would arrive wrapped in a traceback.
    """

    def __init__(self, examples: TrainingBlocks) -> None:
        self._examples = examples

    def __getitem__(self, key: VolumeKey) -> tuple[VolumeKey, tuple[np.ndarray, ...] | BlushError]:
        try:
            volume = self._examples.volume(key)
        except BlushError as error:
            return key, error
        return key, tuple(part.numpy() for part in volume.parts())


def _as_it_is(item: Any) -> Any:
    return item


def _prepare_worker(_worker: int) -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches all processes of a terminal; it is for the one that keeps the state to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
