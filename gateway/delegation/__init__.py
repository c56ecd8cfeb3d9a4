"""Delegation: how one agent hands a task to another, decided and recorded like every other act."""
