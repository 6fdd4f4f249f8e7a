"""What stands, held against what should: status, verify, preflight."""
