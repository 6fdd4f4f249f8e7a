"""The demo: a sample company whose tables live through a few days."""
