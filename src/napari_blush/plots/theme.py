"""The colours of plots: those of napari's theme, followed when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import ismethod
from typing import TYPE_CHECKING, Any, ClassVar
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
    following = _Following(apply, viewer)
    owner.destroyed.connect(following.stop)
    following.on_change()


class _Following:
    """A theme followed by what is held weakly, until `stop`.

    Napari's settings outlive every viewer, and may not keep a widget that is gone. What is to stop it, in turn,
    is kept here: Python's garbage collector empties functions that only the widget holds before the widget
    ends, and Qt would call what is left of them.
    """

    _all: ClassVar[set[_Following]] = set()

    def __init__(self, apply: Callable[[Palette], None], viewer: ViewerModel | None) -> None:
        from napari.settings import get_settings

        self._apply = WeakMethod(apply) if ismethod(apply) else lambda: apply
        self._viewer = viewer
        self._emitters: list[Any] = [get_settings().appearance.events.theme]
        if viewer is not None:
            self._emitters.append(viewer.events.theme)
        for emitter in self._emitters:
            emitter.connect(self.on_change)
        self._all.add(self)

    def on_change(self, event: Any = None) -> None:
        """Hand the colours of the theme on."""
        apply = self._apply()
        if apply is not None:
            apply(current_palette(self._viewer))

    def stop(self) -> None:
        """Follow no more."""
        for emitter in self._emitters:
            emitter.disconnect(self.on_change)
        self._emitters.clear()
        self._all.discard(self)


def _mixed(one: QColor, other: QColor, share: float) -> str:
    """Return a colour between two; `share` is the second's."""
    parts = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a + (b - a) * share) for a, b in parts)).name()
