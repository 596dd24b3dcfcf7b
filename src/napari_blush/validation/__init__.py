"""The dock *Test the denoiser*."""
