"""A bucket held against the contract without a ledger: every key, every file, every record, in one pass."""
