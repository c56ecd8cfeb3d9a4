"""Sandboxes: containers whose kernel-level powers are exactly what was granted."""
