"""The results of a session: looked at again, compared, their parameters taken up again."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_blush.denoise.results import Result
from napari_blush.denoise.store import MOST_RESULTS
from napari_blush.panels.cards import Section

_COLUMNS = ("#", "Map", "Weights", "Diameter")
_RESULT = Qt.ItemDataRole.UserRole
_ROWS_SHOWN = 4


class HistoryPanel(Section):
    """A list of results; the one that is shown is selected."""

    chosen = Signal(object)
    """A `Result` to show."""
    compare_clicked = Signal(object)
    """A `Result` to stand left of the divider, beside the one shown; None for the input again."""
    reuse_clicked = Signal(object)
    """A `Result` whose parameters are to be taken up."""
    remove_clicked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("History", parent)
        self._compared: Result | None = None
        self.list = QTreeWidget()
        self.list.setColumnCount(len(_COLUMNS))
        self.list.setHeaderLabels(list(_COLUMNS))
        self.list.setRootIsDecorated(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setToolTip(f"The newest {MOST_RESULTS} results of this session; choose one to show it")
        header = self.list.header()
        assert header is not None  # a QTreeWidget has one
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        row_height = self.list.fontMetrics().height() + 8
        self.list.setFixedHeight(row_height * (_ROWS_SHOWN + 1))
        self.body.addWidget(self.list)
        self.compare_button = QPushButton("Put left")
        self.compare_button.setCheckable(True)
        self.compare_button.setToolTip("Show this result left of the divider, in place of the input")
        self.reuse_button = QPushButton("Use settings")
        self.reuse_button.setToolTip("Take up the parameters behind this result: weights, diameter (Å), device")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Take this result out of the list")
        row = QHBoxLayout()
        row.setSpacing(6)
        for button in (self.compare_button, self.reuse_button, self.remove_button):
            row.addWidget(button)
        self.body.addLayout(row)
        self.list.itemSelectionChanged.connect(self._on_selected)
        self.compare_button.clicked.connect(self._on_compare)
        self.reuse_button.clicked.connect(lambda: self._emit(self.reuse_clicked))
        self.remove_button.clicked.connect(lambda: self._emit(self.remove_clicked))
        self.set_results([], None)

    @property
    def selected(self) -> Result | None:
        """The result that is selected."""
        items = self.list.selectedItems()
        return items[0].data(0, _RESULT) if items else None

    def set_results(self, results: list[Result], shown: Result | None, compared: Result | None = None) -> None:
        """List results, the newest first: the one that is shown is selected, `compared` stands left of it."""
        self._compared = compared
        self.list.blockSignals(True)
        self.list.clear()
        for result in reversed(results):
            diameter = result.settings.diameter
            row = [
                str(result.number),
                " + ".join(result.names),
                str(result.figures.get("weights", "")),
                "box" if diameter is None else f"{diameter:g} Å",
            ]
            item = QTreeWidgetItem(row)
            item.setData(0, _RESULT, result)
            words = _words(result)
            for column in range(len(_COLUMNS)):
                item.setToolTip(column, words)
            self.list.addTopLevelItem(item)
            if result is shown:
                self.list.setCurrentItem(item)
        self.list.blockSignals(False)
        self._update_buttons()
        self.setVisible(bool(results))

    def _on_selected(self) -> None:
        self._update_buttons()
        self._emit(self.chosen)

    def _on_compare(self) -> None:
        self.compare_clicked.emit(self.selected if self.compare_button.isChecked() else None)

    def _update_buttons(self) -> None:
        selected = self.selected
        for button in (self.compare_button, self.reuse_button, self.remove_button):
            button.setEnabled(selected is not None)
        self.compare_button.setChecked(selected is not None and selected is self._compared)

    def _emit(self, signal: Signal) -> None:
        if self.selected is not None:
            signal.emit(self.selected)


def _words(result: Result) -> str:
    figures = result.figures
    return (
        f"{result.finished:%H:%M:%S} · {result.summary}\n"
        f"{figures.get('device')} · {figures.get('blocks')} blocks in {figures.get('seconds')} s\n"
        f"weights sha256 {str(figures.get('weights_sha256', ''))[:12]}"
    )
