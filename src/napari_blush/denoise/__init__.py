"""The dock widget *Denoise map*: one map, or two half-maps, denoised interactively."""
