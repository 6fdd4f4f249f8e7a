"""Column → Column, for both contracts: ids, values, JSON text, Avro. Nothing here runs a Spark job."""
