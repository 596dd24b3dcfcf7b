"""The dock *Soft mask*."""
