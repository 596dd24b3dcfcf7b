"""The warm local worker process, as the viewer sees it."""

from napari_blush.worker.client import WorkerClient
from napari_blush.worker.lines import LineBuffer
from napari_blush.worker.questions import Questions, sentence_of
from napari_blush.worker.task import HANDING_OVER, MASK, MapTask

__all__ = ["HANDING_OVER", "MASK", "LineBuffer", "MapTask", "Questions", "WorkerClient", "sentence_of"]
