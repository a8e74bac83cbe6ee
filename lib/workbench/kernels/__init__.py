"""Kernels that start within a second."""
