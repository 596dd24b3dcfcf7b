"""Training the denoiser: examples from pairs of half-maps, the loss, and steps."""
