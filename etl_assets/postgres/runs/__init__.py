"""Run history: what runs did, which of them are alive, and what people see of them."""
