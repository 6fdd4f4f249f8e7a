"""The ledger: batches and files as one Delta table, the side tables beside it, and the lease."""
