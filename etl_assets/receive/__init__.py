"""Receives the files and events that publishers send, and keeps them in the inbox before it acknowledges them.

The sources are those whose extractor is an `Inbox`. No database is needed: runs load the files later.
"""
