"""Receivers that load one export, and one that holds it against the contract: a process each. `python -m tests.bench.loading`.

``export`` writes what is loaded, ``contenders`` are who loads, ``agree`` says whether a table is right, ``rounds`` measures,
``shown`` makes the table.
"""
