"""The receiver's side: a bucket listed and read by the contract alone, whoever wrote it."""
