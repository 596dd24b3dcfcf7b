"""What every job speaks: parameters in, events out, commands in.

See `events` for the stream, `control` for the commands, `parameters` for the base of parameter models.
"""

from blushcore.protocol.control import ACTIONS, Command, CommandSource, Control, no_commands
from blushcore.protocol.errors import BlushError, Stopped, UsageError, blaming
from blushcore.protocol.events import (
    Acknowledged,
    Artefact,
    Event,
    Failed,
    Figures,
    Finished,
    IterationDone,
    JobState,
    Message,
    Paused,
    Progress,
    Resumed,
    Started,
)
from blushcore.protocol.jobs import Job
from blushcore.protocol.parameters import Parameters, explain_validation_error

__all__ = [
    "ACTIONS",
    "Acknowledged",
    "Artefact",
    "BlushError",
    "Command",
    "CommandSource",
    "Control",
    "Event",
    "Failed",
    "Figures",
    "Finished",
    "IterationDone",
    "Job",
    "JobState",
    "Message",
    "Parameters",
    "Paused",
    "Progress",
    "Resumed",
    "Started",
    "Stopped",
    "UsageError",
    "blaming",
    "explain_validation_error",
    "no_commands",
]
