"""The tables of sources: their columns, writing and reading their rows, and the queries of an audit."""
