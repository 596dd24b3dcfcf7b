"""What goes wrong with a run is said once, however often it is met."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def card(qtbot: Any) -> Any:
    from napari_blush.live.card import WatchedCard

    made = WatchedCard()
    qtbot.addWidget(made)
    return made


def test_what_is_met_again_and_again_is_said_once(card: Any) -> None:
    for _ in range(1000):
        card.tell_problem("The maps of iteration 3 are not there.")
    assert card.problems.text() == "The maps of iteration 3 are not there."
    assert card.problems.toolTip() == card.problems.text()


def test_of_many_troubles_the_last_are_kept(card: Any) -> None:
    for number in range(1000):
        card.tell_problem(f"Line {number} is left out.")
    assert card.problems.text() == "Line 999 is left out. (and 999 before)"
    told = card.problems.toolTip().splitlines()
    assert told == [f"Line {number} is left out." for number in range(980, 1000)]


def test_a_jobs_warnings_are_said_as_they_come(card: Any) -> None:
    card.warn(("One.",))
    card.tell_problem("Something else.")
    card.warn(("One.",))
    assert card.problems.text() == "Something else. (and 1 before)"
    card.warn(("One.", "Two."))
    assert card.problems.text() == "Two. (and 2 before)"
    card.warn(("Another run's.",))
    assert card.problems.text() == "Another run's. (and 3 before)"
