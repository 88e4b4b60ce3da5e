"""Values that the stages exchange: no input, no output, no Dagster."""
