"""The tables of sources: their columns, rows in, rows out, and the questions an audit asks of them."""
