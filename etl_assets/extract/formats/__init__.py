"""The formats: one package or module each. All formats return uninterpreted text."""
