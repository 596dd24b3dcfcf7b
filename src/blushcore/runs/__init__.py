"""The run directory: what a job leaves behind while it runs, and how it is read, steered and gone on with.

`run_job` and `resume` write; `RunReader` reads, live or later, on this machine or another; `send_command`
steers; `start_detached` starts a worker of its own. `layout` draws the directory, `records` a
line of its events.
"""

from blushcore.runs.children import create_child, restartable_iterations
from blushcore.runs.commands import send_command
from blushcore.runs.detached import Worker, find_worker, start_detached
from blushcore.runs.driver import resume, run_job, run_unrecorded
from blushcore.runs.layout import Parent, RunDescription, RunDirectory, create_run
from blushcore.runs.life import ENDED, Life
from blushcore.runs.reader import Look, Problem, RunReader, RunWatch, read_run
from blushcore.runs.recorder import Recorder
from blushcore.runs.records import Record
from blushcore.runs.summary import RunSummary

__all__ = [
    "ENDED",
    "Life",
    "Look",
    "Parent",
    "Problem",
    "Record",
    "Recorder",
    "RunDescription",
    "RunDirectory",
    "RunReader",
    "RunSummary",
    "RunWatch",
    "Worker",
    "create_child",
    "create_run",
    "find_worker",
    "read_run",
    "restartable_iterations",
    "resume",
    "run_job",
    "run_unrecorded",
    "send_command",
    "start_detached",
]
