"""The parts of the dock widget *Denoise map*."""
