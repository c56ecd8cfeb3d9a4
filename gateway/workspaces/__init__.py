"""Workspaces: folders with an identity, a label, and layers that hold an agent's changes."""
