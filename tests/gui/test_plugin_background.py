"""Work beside the GUI's thread: in order, handed back once, and over with its owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def background(qapp: Any) -> Iterator[Callable[..., Any]]:
    from napari_blush.background import Background

    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(Background(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_work_is_done_in_order_and_handed_back_in_the_guis_thread(qtbot: Any, background: Any) -> None:
    one = background()
    here, came = threading.current_thread(), list[Any]()
    for number in range(3):
        one.run(
            lambda number=number: (number, threading.current_thread()),
            lambda found: came.append((*found, threading.current_thread())),
            came.append,
        )
    qtbot.waitUntil(lambda: len(came) == 3)
    assert [number for number, _, _ in came] == [0, 1, 2]
    assert all(there is not here and back is here for _, there, back in came)


def test_a_failure_is_handed_back_and_others_go_on(qtbot: Any, background: Any) -> None:
    one, came = background(), list[Any]()
    one.run(lambda: 1 / 0, came.append, lambda error: came.append(type(error)))
    one.run(lambda: "next", came.append, came.append)
    qtbot.waitUntil(lambda: came == [ZeroDivisionError, "next"])


def test_only_the_newest_of_one_name_is_done(qtbot: Any, background: Any) -> None:
    one, came, may_go = background(), list[Any](), threading.Event()
    one.run(may_go.wait, came.append, came.append)
    for number in range(5):
        one.run(lambda number=number: number, came.append, came.append, instead_of="this")
    may_go.set()
    qtbot.waitUntil(lambda: came == [True, 4])


def test_a_disk_that_hangs_does_not_keep_its_owner_open(background: Any) -> None:
    one, comes_back = background(patience_seconds=0.1), threading.Event()
    one.run(comes_back.wait, lambda _: None, lambda _: None)
    time.sleep(0.05)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 2.0
    assert one._thread.daemon  # nor does it keep the process
    comes_back.set()
    one._thread.join(5.0)
    assert not one._thread.is_alive()


def test_what_must_not_be_lost_is_waited_for(background: Any) -> None:
    one, done = background(), list[str]()
    one.run(lambda: time.sleep(0.3) or done.append("written"), lambda _: None, lambda _: None)
    time.sleep(0.05)
    one.close()
    assert done == ["written"]
