"""The triggers of runs: schedules, sensors, automation conditions, and the order of sources."""
