"""Refine the built-in particles in napari, live; see scripts/demo."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from stage import Stage

from blushcore.shells import fsc, resolution
from blushcore.volumes import read_map

PATIENCE_SECONDS = 900.0
WINDOW_PX = (1300, 860)
ITERATIONS = 7
"""Enough for helices; refining until nothing gets better takes twice as many."""
_THRESHOLD = 0.5
_GIF_SCALE = 0.6
_GIF_MILLISECONDS = 900


class Demo(Stage):
    """A viewer with the dock widget *Refine*, opened and used as a user does it.

    Parameters
    ----------
    run_folder
        Where the run directory is made; None for where the widget proposes.
    theme
        As for `Stage`.
    """

    def __init__(self, run_folder: Path | None, theme: str | None = None) -> None:
        super().__init__("Refine", theme=theme, window_px=WINDOW_PX, patience_seconds=PATIENCE_SECONDS)
        self._run_folder = run_folder
        self.frames: list[np.ndarray] = []

    def is_hopeless(self) -> bool:
        """Whether something is wrong with the inputs or the run."""
        return self.widget.state in ("wrong", "broken", "failed", "dead")

    def words(self) -> str:
        """Return what the card says."""
        card = self.widget.card
        return f"demo: {card.title.text()} {card.text.text()}"

    def start(self, iterations: int) -> None:
        """Take the built-in particles and click on *Run*; returns when the run is watched."""
        from napari_blush.refine.places import proposed_run

        widget = self.widget
        if widget.state != "empty":  # a run of an earlier viewer goes on: it is let be
            widget.card.buttons["set_up"].click()
        widget.take_demo()
        self.until(lambda: widget.state == "ready")
        widget.setValue(widget.value().replace(max_iterations=iterations))
        if self._run_folder is not None:
            widget.run_section.output.path = proposed_run(self._run_folder / "any")
        self.until(lambda: widget.state == "ready")
        widget.run_section.button.click()
        self.until(lambda: widget.view is not None)

    def film(self, path: Path) -> None:
        """Write a picture of the window, and keep it for the film."""
        self.frames.append(np.asarray(self.shoot(path, 1.0))[..., :3])

    def follow(self, folder: Path) -> None:
        """Take a picture of each iteration when its maps are shown, until the run is finished."""
        view, shot = self.widget.view, -1

        def shown() -> int:
            return -1 if view.layers.shown is None else int(view.layers.shown)

        def is_over() -> bool:
            return bool(self.widget.state == "finished" and shot == view.run.summary.iteration)

        while not is_over():
            self.until(lambda last=shot: shown() > last or is_over())
            if shown() > shot:
                shot = shown()
                self.film(folder / f"iteration-{shot:02d}.png")
        self.film(folder / "finished.png")

    def write_film(self, path: Path) -> None:
        """Write the pictures taken so far as an animated GIF."""
        films = []
        for frame in self.frames:
            size = [round(n * _GIF_SCALE) for n in (frame.shape[1], frame.shape[0])]
            small = Image.fromarray(frame).resize((size[0], size[1]), Image.Resampling.LANCZOS)
            films.append(small.convert("P", palette=Image.Palette.ADAPTIVE, colors=128))
        films[0].save(path, save_all=True, append_images=films[1:], duration=_GIF_MILLISECONDS, loop=0)
        print(path, flush=True)


def resolution_to_truth(map_path: Path, truth_path: Path) -> float:
    """Return where the FSC of a map with the truth falls below 0.5, in Å; both as they are, without a mask."""
    found, truth = read_map(map_path), read_map(truth_path)
    extent = truth.isotropic_voxel_size * truth.shape[0]
    return float(resolution(fsc(found.data, truth.data), extent, _THRESHOLD).angstrom)


def main() -> int:
    """Leave the viewer to the user; with a folder, write pictures and a film into it, and end with the run."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="for pictures, a film and the run")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="at most, the last one included")
    arguments = parser.parse_args()
    folder: Path | None = arguments.folder
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    demo = Demo(folder)
    demo.start(arguments.iterations)
    began = time.monotonic()
    if folder is None:
        napari.run()
        return 0
    run = demo.widget.view.run.directory
    print(f"process {demo.widget.worker_pid()} refines in {run}", flush=True)
    demo.follow(folder)
    demo.write_film(folder / "refinement.gif")
    seconds = time.monotonic() - began
    truth = Path(demo.widget.value().particles).parent / "truth.mrc"
    found = resolution_to_truth(run / "run_class001.mrc", truth)
    demo.close()
    print(f"refined in {seconds:.0f} s; the FSC of the map with the truth falls below 0.5 at {found:.2f} Å")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
