"""Run directories into napari: ``napari RUN_DIR``, or a folder dropped on the viewer.

napari's own reader takes folders too (of pictures), so napari asks which of the two is meant, unless it is told
with ``--plugin napari-blush``, or its settings know the folder's name. The run's ``events.jsonl`` is nobody
else's and stands for its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from blushcore.protocol import BlushError
from blushcore.runs import RunDirectory
from napari_blush.live.view import LiveView
from napari_blush.notices import errors_are_told

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_blush.training.view import TrainingView

LayerData: TypeAlias = "tuple[Any, dict[str, Any], str]"

PLUGIN, DOCK = "napari-blush", "Refine"
_NOTHING: Any = [(None,)]
"""How a reader tells napari that there is no layer to add, and that this has been dealt with."""


def run_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Return the reader of run directories, for npe2; None if `path` is no such directory."""
    directory = _directory(path)
    return read_run_directory if directory is not None and RunDirectory(directory).holds_run() else None


@errors_are_told(otherwise=_NOTHING)
def read_run_directory(path: str | Sequence[str]) -> list[LayerData]:
    """Show a run in the viewer that is open; its layers come by themselves.

    Raises
    ------
    BlushError
        If the directory holds a run that cannot be read, or there is no viewer. When a user opened it, napari
        shows the sentence instead.
    """
    from napari import current_viewer

    directory, viewer = _directory(path), current_viewer()
    if directory is None:
        raise BlushError("Only one run directory can be opened at a time.")
    if viewer is None:
        raise BlushError(f"There is no viewer to show {directory} in.", "Open napari first.")
    open_run(viewer, directory)
    return list(_NOTHING)


def open_run(viewer: Viewer, directory: Path) -> LiveView | TrainingView:
    """Show a run, live or finished, in the dock *Refine*, or in one of its own where there is no such widget.

    Trainings have a view and a dock of their own.

    Parameters
    ----------
    viewer
        A viewer with a window.
    directory
        The run directory.

    Raises
    ------
    BlushError
        If `directory` is not a run directory.
    """
    from napari_blush.training import view as trainings  # which is made of what is in here

    if trainings.is_training(directory):
        training = trainings.TrainingView(viewer, directory)
        viewer.window.add_dock_widget(training, name=f"Training {directory.name}", area="right")
        return training
    widget = refine_widget(viewer)
    if widget is not None:
        widget.attach(directory)
        attached: LiveView = widget.view
        return attached
    view = LiveView(viewer, directory)
    viewer.window.add_dock_widget(view, name=f"Run {directory.name}", area="right")
    return view


def refine_widget(viewer: Viewer) -> Any:
    """Return the plugin's dock for refinements, opened if need be; None if the manifest has none.

    By whatever name it is open: napari's menu and its `add_plugin_dock_widget` name the same dock differently.
    """
    from npe2 import PluginManager

    from napari_blush.refine.widget import RefineWidget

    for dock in viewer.window.dock_widgets.values():
        if isinstance(dock, RefineWidget):
            return getattr(dock, "__wrapped__", dock)
    widgets = PluginManager.instance().get_manifest(PLUGIN).contributions.widgets or []
    if DOCK not in [widget.display_name for widget in widgets]:
        return None
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    return widget


def _directory(path: str | Sequence[str]) -> Path | None:
    paths = [path] if isinstance(path, str) else list(path)
    if len(paths) != 1:
        return None
    one = Path(paths[0])
    if one.name == RunDirectory(one.parent).events.name:
        return one.parent
    return one if one.is_dir() else None
