"""The health of tables: what the database says of each, judged by what its source declares.

``judgement`` judges, without a database; ``survey`` reads what it needs; ``pages`` writes a folder of pages.
"""
