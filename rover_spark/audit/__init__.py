"""Compares what is with what should be: status, verify, preflight."""
