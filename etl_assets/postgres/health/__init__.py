"""What the health of tables is judged by, and what their pages show: numbers, names and times. Read-only.

Role ``etl_reader`` may read all of it. No statement reads tables of sources, or more records of the quarantine than an
index gives for a bounded number of them.
"""
