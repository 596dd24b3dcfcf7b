"""What the machine has: devices by name, their memory, and the precisions that are fast on them."""
