"""The formats: one module each for what is declared, with its own modules beside it. All give uninterpreted text."""
