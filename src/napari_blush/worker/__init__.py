"""The warm local worker process, as the viewer sees it."""

from napari_blush.worker.client import WorkerClient
from napari_blush.worker.lines import LineBuffer
from napari_blush.worker.questions import Questions, sentence_of
from napari_blush.worker.task import MASK, MapTask

__all__ = ["MASK", "LineBuffer", "MapTask", "Questions", "WorkerClient", "sentence_of"]
