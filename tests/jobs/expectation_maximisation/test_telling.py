"""The look at all images before a job begins: in steps so small that commands are heard in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from blushcore.jobs.expectation_maximisation.inputs import Inputs
from blushcore.jobs.expectation_maximisation.telling import survey
from blushcore.protocol import Command, Control, Progress, Stopped


class Reader:
    """Keeps account of what is looked at."""

    def __init__(self, box: int) -> None:
        self.box, self.seen = np.array([box]), list[int]()

    def survey(self, rows: list[int]) -> Any:
        self.seen += rows
        self.most = max(getattr(self, "most", 0), len(rows) * 4 * int(self.box[0]) ** 2)
        return SimpleNamespace(rows=[])


@pytest.mark.parametrize(("box", "count"), [(64, 5000), (400, 500), (4096, 3)])
def test_every_image_is_looked_at_a_little_at_a_time(box, count):
    reader = Reader(box)
    inputs = cast("Inputs", SimpleNamespace(table=range(count), reader=reader))
    events = list(survey(inputs, Control()))
    assert reader.seen == list(range(count))
    assert reader.most <= max(2**24, 4 * box**2)  # 16 MiB: a third of a second of a slow disk
    assert cast("Progress", events[-1]).done == count


def test_a_stop_is_heard_while_images_are_looked_at():
    reader = Reader(400)
    inputs = cast("Inputs", SimpleNamespace(table=range(100_000), reader=reader))
    commands = iter([[Command(id="a", action="stop_now")]])
    with pytest.raises(Stopped):
        list(survey(inputs, Control(lambda: next(commands, []))))
    assert len(reader.seen) <= 64
