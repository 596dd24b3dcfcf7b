"""What the machine has: devices by name, their memory, and the precision that is fast on them.

Importing this needs no torch; it is imported where a device is first asked for.
"""

from blushcore.devices.memory import Memory, host_memory
from blushcore.devices.names import DEVICE_NAMES, DeviceDescription, describe_device, resolve_device
from blushcore.devices.precision import Precision, fast_reduced_precision, use_reduced_precision
from blushcore.devices.threads import available_threads

__all__ = [
    "DEVICE_NAMES",
    "DeviceDescription",
    "Memory",
    "Precision",
    "available_threads",
    "describe_device",
    "fast_reduced_precision",
    "host_memory",
    "resolve_device",
    "use_reduced_precision",
]
