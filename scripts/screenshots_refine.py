"""Refine and classify the built-in particles in a viewer, and take a picture of every state in both themes.

    xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" python scripts/screenshots_refine.py FOLDER

The set is made, and the runs go, below $XDG_DATA_HOME: point it at an empty folder to see the set being made.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from demo import Demo

from blushcore.jobs.classify.parameters import ClassifyParameters

ITERATIONS = 6
CLASSES = 2
THEMES = ("light", "dark")


class Shooting:
    """A viewer with the dock *Refine*, and a folder for pictures ``refine-STATE-THEME.png``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._demo = Demo(None, THEMES[-1])
        self.widget = self._demo.widget
        self.until = self._demo.until

    def shoot(self, state: str, settle_seconds: float = 0.7) -> None:
        """Take a picture in each theme; the last theme stays."""
        for theme in THEMES:
            self._demo.viewer.theme = theme
            self._demo.shoot(self._folder / f"refine-{state}-{theme}.png", settle_seconds)

    def comes_to(self, *states: str) -> None:
        """Wait for one of these states, whatever comes before."""
        while self.widget.state not in states:
            self._demo.let_pass(0.02)

    def click(self, name: str) -> None:
        """Click on a button of the card."""
        self.widget.card.buttons[name].click()

    def shows(self, iteration: int) -> None:
        """Wait until the layers show an iteration, or a later one."""
        self.until(lambda: (self.widget.view.layers.shown or 0) >= iteration)

    def set_up(self) -> None:
        """From nothing to a run that can begin, and back by something wrong."""
        widget = self.widget
        self.shoot("empty", 1.5)
        self.click("demo")
        self.shoot("making", 0.1)
        self.comes_to("ready")
        self.shoot("ready", 1.0)
        widget.set_up.diameter = 500.0
        self.comes_to("wrong")
        self.shoot("wrong")
        widget.set_up.diameter = 120.0
        self.comes_to("ready")
        panel = widget.set_up.panel
        panel.expert_button.click()
        self._demo.let_pass(0.3)
        widget._scroll.ensureWidgetVisible(panel.expert_section, 0, 300)
        self.shoot("expert")
        panel.expert_button.click()
        widget.setValue(widget.value().replace(max_iterations=ITERATIONS, healpix_order=1))  # in less time
        self.comes_to("ready")

    def refine(self) -> None:
        """From the click on *Run* to the end, with a pause, a death and a stop on the way."""
        widget = self.widget
        widget.run_section.button.click()
        self.shoot("starting", 0.1)
        self.comes_to("running")
        self.shows(2)
        self.shoot("running")
        self.click("pause")
        self.comes_to("paused")
        self.shoot("paused")
        self.click("go_on")
        self.comes_to("running")
        os.kill(widget.worker_pid(), signal.SIGKILL)  # what running out of memory looks like
        self.comes_to("dead")
        self.shoot("dead")
        self.click("resume")
        self.comes_to("running")
        tabs = widget.view.tabs
        tabs.show_plot(tabs.progress)
        self.shows(3)
        self.shoot("progress")
        self.click("stop_after")
        self.shoot("stopping", 0.2)
        self.comes_to("stopped", "finished")
        self.shoot("stopped")
        if widget.state == "stopped":
            self.click("resume")
            self.comes_to("finished")
        self.shows(ITERATIONS)
        tabs.show_plot(tabs.angles)
        self.until(lambda: widget.view.angles.counts is not None)
        self.shoot("finished", 1.0)

    def classify(self) -> None:
        """Two classes of the same particles: set up, one class, all classes."""
        widget = self.widget
        self.click("set_up")
        widget.set_up.kind_buttons["classify"].click()
        params = widget.value()
        assert isinstance(params, ClassifyParameters)
        widget.setValue(params.replace(classes=CLASSES, iterations=2, healpix_order=1))
        self.comes_to("ready")
        self.shoot("classify", 1.0)
        widget.run_section.button.click()
        self.comes_to("finished")
        self.shows(2)
        self.shoot("class", 1.0)
        box = widget.view.classes.box
        box.setCurrentIndex(box.count() - 1)
        self.shoot("classes", 1.5)
        widget.watching.taking.panel.fold.click()
        self.shoot("taking")

    def close(self) -> None:
        """Close the viewer."""
        self._demo.close()


def main(folder: Path) -> int:
    """Take all pictures."""
    shooting = Shooting(folder)
    shooting.set_up()
    shooting.refine()
    shooting.classify()
    shooting.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
