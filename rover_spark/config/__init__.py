"""TOML and environment → frozen settings. Pure."""
