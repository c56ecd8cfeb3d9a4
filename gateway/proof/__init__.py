"""What a design of agents would gather, computed before anything runs."""
