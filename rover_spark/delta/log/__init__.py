"""The logs of Delta tables behind one port: read natively where tables are paths, by Spark elsewhere."""
