"""Store what is remembered of deliveries: observations, drift events, profiles."""
