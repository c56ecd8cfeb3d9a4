"""The decision point: capabilities, the rule, typed requests, and decisions with their reasons."""
