"""What users meet: commands as functions, their results, the terminal, the session."""
