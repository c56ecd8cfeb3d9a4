"""Trilemma: an agent runtime with one door. Files, internet, code: pick two."""
