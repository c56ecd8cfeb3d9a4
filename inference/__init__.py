"""The model: what one is, where it runs, and the ones that are built in."""
