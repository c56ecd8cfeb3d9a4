"""The ledger: an append-only, hash-chained record of every event, and the folds over it."""
