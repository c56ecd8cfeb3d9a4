"""The run loop of an agent: ask the model, run what it asks for, until it is done."""
