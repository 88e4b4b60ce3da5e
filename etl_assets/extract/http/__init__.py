"""Guarded HTTP: one transport for files and for APIs that answer in pages."""
