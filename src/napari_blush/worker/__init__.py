"""The warm local worker process, as the viewer sees it."""

from napari_blush.worker.client import WorkerClient
from napari_blush.worker.lines import LineBuffer

__all__ = ["LineBuffer", "WorkerClient"]
