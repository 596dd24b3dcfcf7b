"""The first images of a particle set, small, with the circle of the particle's diameter on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

COLUMNS, ROWS = 4, 2
_GAP_PX = 4
_LEAST_TILE_PX = 48
_CIRCLE = QColor("#f59eb2")
_SHADE = QColor(0, 0, 0, 150)
_GREY_PERCENTILES = (1.0, 99.0)


def tile_of(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return an image ``[y, x]`` in grey values, its brightest and darkest hundredths cut off.

    Particles are told from their noise where the shells above a quarter of Nyquist are left out: images larger
    than 64 pixels are averaged over blocks first.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    factor = max(1, min(values.shape) // 64)
    height, width = (n // factor * factor for n in values.shape)
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    small = blocks.mean(axis=(1, 3))
    low, high = np.percentile(small, _GREY_PERCENTILES)
    grey = np.clip((small - low) / max(float(high - low), 1e-12), 0, 1)
    return np.ascontiguousarray((255 * grey).astype(np.uint8))


class Gallery(QWidget):
    """A few images in a grid; the circle follows `diameter_px`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: list[QImage] = []
        self._box = 1
        self._diameter_px = 0.0
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setToolTip("The first images of the set, with the circle of the particle's diameter (Å)")

    @property
    def count(self) -> int:
        """How many images it shows."""
        return len(self._images)

    @property
    def diameter_px(self) -> float:
        """Diameter of the circle in pixels of the images; 0 for none."""
        return self._diameter_px

    @diameter_px.setter
    def diameter_px(self, diameter: float) -> None:
        self._diameter_px = diameter
        self.update()

    def set_tiles(self, tiles: list[NDArray[np.uint8]], box: int) -> None:
        """Show grey images (see `tile_of`) of a set whose images have `box` pixels."""
        self._box = box
        self._images = []
        for tile in tiles[: COLUMNS * ROWS]:
            height, width = tile.shape
            image = QImage(tile.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
            self._images.append(image.copy())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as a dock."""
        return QSize(300, self.heightForWidth(300))

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        """Its tiles are square."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Rows of squares."""
        rows = -(-len(self._images) // COLUMNS) if self._images else 0
        return int(rows * (self._side(width) + _GAP_PX))

    def _side(self, width: int) -> float:
        return max(_LEAST_TILE_PX, (width - (COLUMNS - 1) * _GAP_PX) / COLUMNS)

    def paintEvent(self, event: object) -> None:  # noqa: N802
        """Draw the tiles, and the circle on each."""
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        side = self._side(self.width())
        for index, image in enumerate(self._images):
            row, column = divmod(index, COLUMNS)
            place = QRectF(column * (side + _GAP_PX), row * (side + _GAP_PX), side, side)
            painter.drawImage(place, image)
            if self._diameter_px <= 0:
                continue
            # The box's centre is pixel n // 2, half a pixel right of the middle of an even box.
            pixel = side / self._box
            middle = (self._box // 2 + 0.5) * pixel
            radius = self._diameter_px / 2 * pixel
            painter.save()
            painter.setClipRect(place)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for colour, width in ((_SHADE, 3.0), (_CIRCLE, 1.5)):
                painter.setPen(QPen(colour, width))
                painter.drawEllipse(place.topLeft() + QPointF(middle, middle), radius, radius)
            painter.restore()
        painter.end()
