"""The classes of a classification, to be ticked: their particles are to be taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_blush.panels.cards import Section, hint
from napari_blush.plots.stacked import DASHES
from napari_blush.plots.theme import Palette
from napari_blush.refine.notes import Note, NoteLine

_FOLD = "Take particles of classes"
_COLUMNS = ("Class", "Share", "Particles", "SSNR 1")
_TOOLTIP = (
    "Share of the posterior (%), number of particles, each counted in its most likely class, and resolution "
    "where the signal-to-noise ratio is 1 (Å)"
)
_NUMBER = int(Qt.ItemDataRole.UserRole)
_MOST_ROWS = 8
_ICON_PX = QSize(18, 10)
_THIN_SPACE = "\u202f"


@dataclass(frozen=True)
class ClassRow:
    """A class: its number, share (0 to 1), number of particles, and resolution (Å) if it has one."""

    number: int
    share: float
    particles: int
    angstrom: float | None

    @classmethod
    def all_of(cls, figures: Mapping[str, Any]) -> tuple[ClassRow, ...]:
        """Return the classes that the figures of an iteration tell of."""
        shares = figures.get("class_distribution") or ()
        counts = figures.get("class_particles") or (0,) * len(shares)
        resolutions = figures.get("class_resolution_angstrom") or (None,) * len(shares)
        rows = enumerate(zip(shares, counts, resolutions, strict=True), start=1)
        return tuple(cls(number, *values) for number, values in rows)


class ClassesPanel(Section):
    """A list of classes, folded until it is wanted; what is ticked can be saved, or refined.

    A class without particles cannot be ticked.
    """

    save_clicked = Signal()
    refine_clicked = Signal()
    changed = Signal()
    """Other classes are ticked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(_FOLD, parent)
        self.heading.hide()
        self._iteration = 0
        self._rows: tuple[ClassRow, ...] = ()
        self._curves: tuple[str, ...] = ()
        self._is_busy = False
        self.fold = QToolButton()
        self.fold.setObjectName("blushFold")
        self.fold.setCheckable(True)
        self.fold.setToolTip("Save the particles of some classes as a STAR file, or refine them on their own")
        self.list = QTreeWidget()
        self._set_up_list()
        self.words = hint()
        self.save_button = QPushButton("Save as STAR…")
        self.save_button.setToolTip("Write the particles of the ticked classes, with all their columns")
        self.refine_button = QPushButton("Refine these")
        self.refine_button.setToolTip("")
        self.line = NoteLine()
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.save_button, self.refine_button):
            buttons.addWidget(button, 1)
        for widget in (self.fold, self.list, self.words):
            self.body.addWidget(widget)
        self.body.addLayout(buttons)
        self.body.addWidget(self.line)
        self.fold.toggled.connect(self._on_fold)
        self.list.itemChanged.connect(self._on_ticked)
        self.save_button.clicked.connect(self.save_clicked)
        self.refine_button.clicked.connect(self.refine_clicked)
        self._on_fold(False)
        self.hide()

    def _set_up_list(self) -> None:
        self.list.setColumnCount(len(_COLUMNS))
        self.list.setHeaderLabels(list(_COLUMNS))
        self.list.setRootIsDecorated(False)
        self.list.setIconSize(_ICON_PX)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setToolTip(_TOOLTIP)
        header, head = self.list.header(), self.list.headerItem()
        assert header is not None  # a QTreeWidget has both
        assert head is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, len(_COLUMNS)):
            head.setTextAlignment(column, _RIGHT)

    # --- what is shown ----------------------------------------------------------------------------------------

    @property
    def iteration(self) -> int:
        """The iteration whose classes are listed."""
        return self._iteration

    @property
    def ticked(self) -> tuple[ClassRow, ...]:
        """The classes that are ticked."""
        ticked = {
            item.data(0, _NUMBER) for item in self._items() if item.checkState(0) == Qt.CheckState.Checked
        }
        return tuple(row for row in self._rows if row.number in ticked)

    def set_classes(self, iteration: int, figures: Mapping[str, Any]) -> None:
        """List the classes of an iteration; without any, nothing is seen. What is ticked stays so.

        At first the class with the most particles is ticked.
        """
        rows = ClassRow.all_of(figures)
        self.setVisible(bool(rows))
        if (iteration, rows) == (self._iteration, self._rows):
            return
        ticked = {row.number for row in self.ticked}
        if not self._rows and rows:
            ticked = {max(rows, key=lambda row: row.particles).number}
        self._iteration, self._rows = iteration, rows
        self._list(ticked)

    def set_palette(self, palette: Palette) -> None:
        """Take the colours of a theme: those that the classes have in the plots."""
        self._curves = palette.curves
        for item in self._items():
            item.setIcon(0, self._icon(item.data(0, _NUMBER)))

    def set_purpose(self, tooltip: str) -> None:
        """Say what *Refine these* does, in its tooltip."""
        self.refine_button.setToolTip(tooltip)

    def show_note(self, note: Note) -> None:
        """Say how the writing of a file stands; while it is under way, nothing else can be written."""
        self.line.show_note(note)
        self._is_busy = note.is_busy
        self._update_buttons()

    # --- inside -----------------------------------------------------------------------------------------------

    def _items(self) -> list[QTreeWidgetItem]:
        items = (self.list.topLevelItem(place) for place in range(self.list.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _list(self, ticked: set[int]) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for row in self._rows:
            item = QTreeWidgetItem(_cells(row))
            item.setData(0, _NUMBER, row.number)
            item.setIcon(0, self._icon(row.number))
            for column in range(1, len(_COLUMNS)):
                item.setTextAlignment(column, _RIGHT)
            is_ticked = row.number in ticked and row.particles > 0
            item.setCheckState(0, Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
            if row.particles == 0:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addTopLevelItem(item)
        self.list.blockSignals(False)
        self._fit_height()
        self._update_buttons()

    def _fit_height(self) -> None:
        """Let the list be as high as its rows, which it knows once it is seen."""
        header = self.list.header()
        assert header is not None
        rows = min(len(self._rows), _MOST_ROWS) * self.list.sizeHintForRow(0)
        self.list.setFixedHeight(header.sizeHint().height() + rows + 2 * self.list.frameWidth() + 2)

    def _icon(self, number: int) -> QIcon:
        """Return a piece of the curve that a class has in the plots."""
        picture = QPixmap(_ICON_PX)
        picture.fill(Qt.GlobalColor.transparent)
        if self._curves:
            cycle, place = divmod(number - 1, len(self._curves))
            painter = QPainter(picture)
            painter.setPen(QPen(QColor(self._curves[place]), 3, DASHES[cycle % len(DASHES)][0]))
            painter.drawLine(0, _ICON_PX.height() // 2, _ICON_PX.width(), _ICON_PX.height() // 2)
            painter.end()
        icon = QIcon(picture)
        icon.addPixmap(picture, QIcon.Mode.Disabled)  # else Qt greys it
        return icon

    def _on_fold(self, on: bool) -> None:
        self.fold.setText(f"{'▾' if on else '▸'}  {_FOLD}")
        for widget in (self.list, self.words, self.save_button, self.refine_button):
            widget.setVisible(on)
        self.line.setVisible(on and bool(self.line.note.text))
        if on:
            self._fit_height()

    def _on_ticked(self) -> None:
        self._update_buttons()
        self.changed.emit()

    def _update_buttons(self) -> None:
        ticked = self.ticked
        taken, all_of_them = (sum(row.particles for row in rows) for rows in (ticked, self._rows))
        words = "Tick the classes whose particles you want"
        if ticked:
            words = f"{_grouped(taken)} of {_grouped(all_of_them)} particles"
        self.words.setText(f"{words}, as they were after iteration {self._iteration}.")
        for button in (self.save_button, self.refine_button):
            button.setEnabled(bool(ticked) and not self._is_busy)


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def _cells(row: ClassRow) -> Sequence[str]:
    if row.particles == 0:
        return (f"Class {row.number}", f"{100 * row.share:.1f} %", "empty", "–")
    angstrom = "–" if row.angstrom is None else f"{row.angstrom:.1f} Å"
    return (f"Class {row.number}", f"{100 * row.share:.1f} %", _grouped(row.particles), angstrom)


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", _THIN_SPACE)
