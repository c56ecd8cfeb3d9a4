"""Workspaces whose folders cannot be mounted: their files are carried into a volume and back."""
