"""What the panels share: sections with a heading, and the colours of states."""

from __future__ import annotations

from qtpy.QtWidgets import QFormLayout, QFrame, QLabel, QVBoxLayout, QWidget

from napari_blush.plots.theme import Palette


class Section(QFrame):
    """A part of a dock: a heading, and what belongs under it.

    Parameters
    ----------
    heading
        In a word or two.
    """

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("blushSection")
        self.heading = QLabel(heading)
        self.heading.setObjectName("blushHeading")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 7, 10, 9)
        self.body.setSpacing(6)
        self.body.addWidget(self.heading)


def form_of(*rows: tuple[str, QWidget]) -> QFormLayout:
    """Return widgets one below the other, each with its label beside it and as wide as there is room."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, widget in rows:
        form.addRow(label, widget)
    return form


def hint(text: str = "") -> QLabel:
    """Return a label for an explanation, small and wrapped."""
    label = QLabel(text)
    label.setObjectName("blushHint")
    label.setWordWrap(True)
    return label


def restyle(widget: QWidget) -> None:
    """Let a widget follow the style sheet after its name or a property of it has changed."""
    style = widget.style()
    assert style is not None  # there is always the application's
    style.unpolish(widget)
    style.polish(widget)


def style_sheet(palette: Palette) -> str:
    """Return the style of all panels in the colours of a theme."""
    accent, danger, good = accents(palette)
    card, groove = ("rgba(255,255,255,14)", "rgba(255,255,255,40)")
    alarm = "#ff8a80" if palette.is_dark else danger
    if not palette.is_dark:
        card, groove = ("rgba(0,0,0,10)", "rgba(0,0,0,35)")
    # Where the keyboard is: a frame within the padding, so that nothing moves.
    focused = f"border: 1px solid {palette.ink};"
    return f"""
        QFrame#blushSection {{ background: {card}; border-radius: 6px; }}
        QFrame#blushSection QLabel, QFrame#blushStatus QLabel {{ background: transparent; }}
        QFrame#blushSection QWidget#blushPlain {{ background: transparent; }}
        QLabel#blushHeading {{ font-weight: 600; color: {palette.ink}; }}
        QLabel#blushHint {{ color: {palette.ink}; font-size: 11px; }}
        QLabel#blushTitle {{ font-weight: 600; color: {palette.ink}; }}
        QLabel#blushError {{ color: {alarm}; font-size: 11px; }}
        QFrame#blushSection QLineEdit[wrong="true"] {{ border: 1px solid {alarm}; }}
        QLabel#blushWarning {{ color: {palette.curves[1]}; font-size: 11px; }}
        QPushButton:focus {{ {focused} padding: 3px; }}
        QComboBox:focus {{ {focused} padding: 2px 9px 2px 7px; }}
        QAbstractSpinBox:focus {{ {focused} padding: 0px 9px; }}
        QCheckBox:focus, QTreeWidget:focus {{ {focused} }}
        QTreeWidget::indicator {{ width: 13px; height: 13px; }}
        QTreeWidget::indicator:unchecked {{ border: 1px solid {palette.faint}; border-radius: 2px; }}
        QPushButton#blushPrimary {{ background: {accent}; color: white; font-weight: 600; padding: 7px; }}
        QPushButton#blushPrimary:disabled {{ background: {groove}; color: {palette.faint}; }}
        QPushButton#blushPrimary:focus {{ padding: 6px; }}
        QPushButton#blushToggle {{ padding: 7px; }}
        QPushButton#blushToggle:focus {{ padding: 6px; }}
        QPushButton#blushToggle:checked {{ border: 2px solid {accent}; padding: 5px; }}
        QPushButton#blushSegment {{ padding: 5px 4px; border-radius: 2px; }}
        QPushButton#blushSegment:focus {{ padding: 4px 3px; }}
        QPushButton#blushSegment:checked {{ background: {accent}; color: white; }}
        QPushButton#blushDanger {{ background: {danger}; color: white; font-weight: 600; padding: 5px 12px; }}
        QPushButton#blushDanger:focus {{ padding: 4px 11px; }}
        QFrame#blushStatus {{ background: {card}; border-radius: 6px; border-left: 4px solid {palette.faint}; }}
        QFrame#blushStatus[tone="busy"] {{ border-left-color: {accent}; }}
        QFrame#blushStatus[tone="bad"] {{ border-left-color: {danger}; }}
        QFrame#blushStatus[tone="good"] {{ border-left-color: {good}; }}
        QFrame#blushStatus[tone="ask"] {{ border-left-color: {palette.curves[1]}; }}
        QProgressBar {{ border: none; border-radius: 3px; background: {groove}; max-height: 6px; }}
        QProgressBar::chunk {{ border-radius: 3px; background: {accent}; }}
    """


def accents(palette: Palette) -> tuple[str, str, str]:
    """Return the colours of what is under way or to be clicked, of what failed, and of what succeeded."""
    return ("#2f7fd1", "#c9413a", "#3f9e6a") if palette.is_dark else ("#1565b8", "#b8322b", "#2c7d50")
