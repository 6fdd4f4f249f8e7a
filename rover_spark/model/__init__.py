"""Values that travel between the rooms. Pure: no Spark, no store, no clock."""
