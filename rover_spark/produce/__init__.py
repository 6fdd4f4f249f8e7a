"""How the records of a contract come from tables: one port, one folder a contract, and columns for both."""
