"""The plugin's icon, in ink that suits the theme."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QIcon

_INK = "#808b98"


def icon_svg(ink: str) -> str:
    """Return the icon as SVG with its lines in `ink`, a colour as CSS has it; the blush stays."""
    return files(__name__).joinpath("blush.svg").read_text(encoding="utf-8").replace(_INK, ink)


def blush_icon(ink: str, size: int = 64) -> QIcon:
    """Return the icon with its lines in `ink`, e.g. the text colour of napari's theme; `size` in pixels."""
    from qtpy.QtCore import QByteArray, Qt
    from qtpy.QtGui import QIcon, QPainter, QPixmap
    from qtpy.QtSvg import QSvgRenderer

    picture = QPixmap(size, size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(icon_svg(ink).encode())).render(painter)
    painter.end()
    return QIcon(picture)
