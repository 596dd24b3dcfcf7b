"""Refine the built-in particles in a viewer and take a picture of every state; see scripts/screenshots."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from demo import Demo


def main(folder: Path, theme: str) -> int:
    """Write ``refine-STATE-THEME.png`` into `folder`; runs go where the widget proposes."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = Demo(None, theme)
    widget = demo.widget

    def shoot(state: str, settle_seconds: float = 0.7) -> None:
        demo.shoot(folder / f"refine-{state}-{theme}.png", settle_seconds)

    def until(*states: str) -> None:
        while widget.state not in states:
            demo.let_pass(0.02)

    shoot("empty", 1.5)
    widget.card.buttons["demo"].click()
    shoot("making", 0.2)
    until("ready")
    shoot("ready", 1.0)
    widget.set_up.diameter = 500.0
    until("wrong")
    shoot("wrong")
    widget.set_up.diameter = 120.0
    until("ready")
    widget.set_up.panel.expert_button.click()
    demo.let_pass(0.3)
    widget._scroll.ensureWidgetVisible(widget.set_up.panel.expert_section, 0, 300)
    shoot("expert")
    widget.set_up.panel.expert_button.click()
    widget.run_section.button.click()
    shoot("starting", 0.3)
    until("running")
    view = widget.view
    demo.until(lambda: (view.layers.shown or 0) >= 2)
    shoot("running", 1.0)
    widget.card.buttons["pause"].click()
    until("paused")
    shoot("paused")
    widget.card.buttons["go_on"].click()
    until("running")
    os.kill(widget.worker_pid(), signal.SIGKILL)  # what running out of memory looks like
    until("dead")
    shoot("dead")
    widget.card.buttons["resume"].click()
    until("running")
    view.tabs.setCurrentIndex(1)
    demo.until(lambda: (view.layers.shown or 0) >= 3)
    shoot("progress")
    widget.card.buttons["stop_after"].click()
    shoot("stopping", 0.4)
    until("stopped")
    shoot("stopped")
    demo.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2]))
