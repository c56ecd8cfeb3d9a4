"""Runs that outlive their process: what they did, step by step, and how they go on from there."""
