"""Statements for warehouses: raw tables, loads, views of the current state; and data contracts.

``tables`` says what a receiver stores of each dataset or event type, ``views`` defines each view once, ``engines`` knows
what differs between warehouses, ``script`` puts the statements into order, ``odcs`` writes data contracts.

Needs sqlglot (the extra ``ddl``). Reads no table and no object, writes nothing.
"""
