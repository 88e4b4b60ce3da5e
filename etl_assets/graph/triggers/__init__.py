"""What makes runs begin: schedules, sensors, automation conditions, and which source comes after which."""
