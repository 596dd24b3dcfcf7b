"""The colours of plots: those of napari's theme, followed when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import ismethod
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from qtpy.QtGui import QColor

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtCore import QObject


@dataclass(frozen=True)
class Palette:
    """Colours of a plot, as ``#rrggbb``.

    Attributes
    ----------
    is_dark
        Whether the background is dark.
    background, ink, faint
        The dock's ground; text and axes; grid and auxiliary lines.
    curves
        For curves, the most important first: told apart by colour-blind eyes (after Okabe and Ito 2008), and
        with enough contrast to this background.
    """

    is_dark: bool
    background: str
    ink: str
    faint: str
    curves: tuple[str, ...]


CURVES_ON_DARK = ("#6cb6ff", "#f2a65a", "#9aa3ad", "#e58fb1", "#5fd0a5")
CURVES_ON_LIGHT = ("#0b4f8a", "#c65d00", "#6d747c", "#a8437a", "#00795b")


def palette_of(theme_id: str) -> Palette:
    """Return the palette that goes with one of napari's themes."""
    from napari.utils.theme import get_theme

    theme = get_theme(theme_id)
    background = QColor(theme.background.as_hex(format="long"))
    text = QColor(theme.text.as_hex(format="long"))
    is_dark = background.lightnessF() < 0.5
    return Palette(
        is_dark=is_dark,
        background=background.name(),
        ink=_mixed(text, background, 0.12),
        faint=_mixed(text, background, 0.55),
        curves=CURVES_ON_DARK if is_dark else CURVES_ON_LIGHT,
    )


def current_palette(viewer: ViewerModel | None = None) -> Palette:
    """Return the palette of a viewer's theme, or of the one in napari's settings."""
    if viewer is not None:
        return palette_of(str(viewer.theme))
    from napari.settings import get_settings

    return palette_of(str(get_settings().appearance.theme))


def follow_theme(owner: QObject, apply: Callable[[Palette], None], viewer: ViewerModel | None = None) -> None:
    """Call `apply` now and whenever the theme changes, until `owner` is destroyed.

    Parameters
    ----------
    owner
        The widget that is coloured.
    apply
        Takes the new palette.
    viewer
        Whose theme; without one, that of napari's settings.
    """
    from napari.settings import get_settings

    # Napari's settings outlive every viewer: what they call may not keep a widget that is gone.
    found = WeakMethod(apply) if ismethod(apply) else lambda: apply

    def on_change(event: Any = None) -> None:
        take = found()
        if take is not None:
            take(current_palette(viewer))

    emitters = [get_settings().appearance.events.theme]
    if viewer is not None:
        emitters.append(viewer.events.theme)
    for emitter in emitters:
        emitter.connect(on_change)

    def stop() -> None:
        for emitter in emitters:
            emitter.disconnect(on_change)

    owner.destroyed.connect(stop)
    on_change()


def _mixed(one: QColor, other: QColor, share: float) -> str:
    """Return a colour between two; `share` is the second's."""
    parts = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a + (b - a) * share) for a, b in parts)).name()
