"""Run history: what runs did, which runs are alive, and the results that people see."""
