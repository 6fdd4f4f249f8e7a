"""The Currents contract: events of an integration, Avro files by event type and queue hour."""
