"""What a session says of itself, told in the dock's panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_blush.denoise.layers import DenoiseLayers
from napari_blush.denoise.panels import DenoisePanels
from napari_blush.denoise.results import Fsc
from napari_blush.denoise.session import DenoiseSession
from napari_blush.denoise.states import Picture, ProgressOfAll, State
from napari_blush.panels.network import chosen_device
from napari_blush.panels.words import duration

if TYPE_CHECKING:
    from napari.viewer import Viewer

_NO_SLICE = "A preview shows slices of the map: look at one in 2D, or denoise the whole map."
_NO_MAPS = "What is open is no map: a map has three axes in space. Drop one here, open one, or try the demo."


class Telling:
    """Brings the panels up to date; changes nothing in the session or the layers.

    Parameters
    ----------
    viewer
        Whose dimensions and layers make a difference to what is said.
    session, layers
        What is told of.
    panels
        Where.
    """

    def __init__(
        self, viewer: Viewer, session: DenoiseSession, layers: DenoiseLayers, panels: DenoisePanels
    ) -> None:
        self._viewer, self._session, self._layers, self._panels = viewer, session, layers, panels
        session.progressed.connect(self._progress)
        session.picture_came.connect(self._picture)
        session.fsc_came.connect(self._fsc)
        layers.changed.connect(self.views)
        layers.mode_changed.connect(panels.display.mark)

    def state(self, state: State) -> None:
        """Show a state, and offer what can be done in it."""
        self._panels.show_state(state, self._session, self._words(state))
        self.views()

    def no_slice(self) -> None:
        """Say that there is nothing to preview in this view."""
        self._panels.status.show_state(State.PREVIEWING, text=_NO_SLICE)

    def results(self) -> None:
        """List the results, mark those that are shown, and show the FSC of the one that is."""
        shown, session = self._layers.result, self._session
        self._panels.history.set_results(session.history, shown, self._layers.wanted.compare_with)
        self._panels.fsc.show_fsc(None if shown is None else session.fsc_of(shown))

    def views(self) -> None:
        """Offer the views that there is something to see in."""
        denoised, result = self._layers.denoised, self._layers.result
        self._panels.display.enable(preview=denoised is not None, result=result is not None)

    def memory(self) -> None:
        """Name the device that is chosen, with its memory."""
        facts = self._session.facts
        if facts is not None:
            self._panels.memory.show_device(chosen_device(facts, self._panels.settings().device))

    def _words(self, state: State) -> str:
        if state is State.EMPTY and len(self._viewer.layers) and self._panels.inputs.map_layer is None:
            return _NO_MAPS
        if state is State.DONE and self._session.history:
            result = self._session.history[-1]
            seconds = float(result.figures["seconds"])
            return f"{result.summary} · {duration(seconds)} on {result.figures['device']}"
        if state is State.PREVIEWING and self._viewer.dims.ndisplay == 3:
            return _NO_SLICE
        return ""

    def _progress(self, progress: ProgressOfAll) -> None:
        is_preview = self._session.state is State.PREVIEWING
        self._panels.status.show_progress(progress, preview=is_preview)

    def _picture(self, picture: Picture) -> None:
        if self._session.state is State.PREVIEWING:
            self._panels.status.show_picture(picture)

    def _fsc(self, fsc: Fsc) -> None:
        shown = self._layers.result
        if shown is not None and fsc.number == shown.number:
            self._panels.fsc.show_fsc(fsc)
