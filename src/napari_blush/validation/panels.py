"""The parts of the dock *Test the denoiser*: on what, with what, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QWidget

from blushcore.interactive.messages import DenoiserValidated, ValidationSettings
from napari_blush.panels.boxes import choice_box
from napari_blush.panels.cards import Section, form_of, hint
from napari_blush.panels.map_choices import MapChoice, is_mask, likely_halves, offer_maps
from napari_blush.panels.network import FROM_FILE, NetworkChoice
from napari_blush.parameter_form import ParameterForm
from napari_blush.plots.validation import ValidationPlot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari.layers import Image
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QComboBox

_FIRST_SENTENCE = 3
"""Below the heading, what it is of, and the curves."""
_PLOT_PX = 300
_NO_MASK = "the whole sphere"
_LABELS = {"model": "Atomic model", "seed": "Random seed"}
_CHOICES: dict[str, list[tuple[str, Any]]] = {
    "weights": [("default", None), (FROM_FILE, FROM_FILE)],
    "device": [("automatic", "auto")],
}


class MapsSection(Section):
    """The half-maps, and the mask in which figures are taken."""

    def __init__(self) -> None:
        super().__init__("Half-maps")
        self.half1_box = choice_box("First half-map: unfiltered, unmasked, undenoised")
        self.half2_box = choice_box("Second half-map, on the same grid")
        self.mask_box = choice_box(
            "Soft mask of the particle, 0 to 1: where figures are taken. Without one, taking away noise of the "
            "solvent counts as a gain"
        )
        self.body.addLayout(
            form_of(("Half-map 1", self.half1_box), ("Half-map 2", self.half2_box), ("Mask", self.mask_box))
        )

    def boxes(self) -> Iterator[QComboBox]:
        """All boxes in which a map is chosen."""
        yield from (self.half1_box, self.half2_box, self.mask_box)

    def offer(self, layers: Sequence[Image]) -> None:
        """List the viewer's maps; what the user chose stays, the rest is proposed by names."""
        half1, half2 = likely_halves([layer for layer in layers if not is_mask(layer)])
        mask = next((layer for layer in layers if is_mask(layer)), None)
        offer_maps(
            layers,
            [
                MapChoice(self.half1_box, half1),
                MapChoice(self.half2_box, half2),
                MapChoice(self.mask_box, mask, _NO_MASK),
            ],
        )

    def halves(self) -> tuple[Image, Image] | None:
        """Return two layers, if two are chosen."""
        one, two = self.half1_box.currentData(), self.half2_box.currentData()
        return None if one is None or two is None or one is two else (one, two)


class SettingsSection(Section):
    """Network, sphere, model and seed."""

    def __init__(self) -> None:
        super().__init__("Denoiser")
        self.form = ParameterForm(
            ValidationSettings,
            fields=("weights", "diameter", "model", "seed", "device"),
            labels=_LABELS,
            nothing={"diameter": "the box"},
            choices=_CHOICES,
        )
        self.network = NetworkChoice(self.form)
        self.body.addWidget(self.form)


class FoundSection(Section):
    """What was found, in sentences and curves."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__("Found", parent)
        self.of = hint()
        self.sentences: list[QLabel] = []
        self.plot = ValidationPlot(viewer=viewer)
        self.plot.graphics.setMaximumHeight(_PLOT_PX)  # what is found stands below it
        self.body.addWidget(self.of)
        self.body.addWidget(self.plot)
        self.hide()

    def show_found(self, found: DenoiserValidated, names: tuple[str, str], doubts: Sequence[str] = ()) -> None:
        """Show it; `names` are those of the half-maps, `doubts` what is odd about them."""
        self.of.setText(" and ".join(names))
        for label in self.sentences:
            self.body.removeWidget(label)
            label.deleteLater()
        self.sentences = [hint(sentence) for sentence in (*doubts, *found.sentences)]
        for label in self.sentences[: len(doubts)]:
            label.setObjectName("blushWarning")
        for place, label in enumerate(self.sentences):
            self.body.insertWidget(_FIRST_SENTENCE + place, label)
        self.plot.show_figures(found.figures)
        self.show()
