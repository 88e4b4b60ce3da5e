"""What rows, records and deliveries are explained by. Everything here only reads."""
