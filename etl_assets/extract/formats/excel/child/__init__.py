"""What runs in the child process that reads a workbook: the standard library, and the reader of the workbook's type.

These modules import nothing from the rest of the package, so that the process starts quickly.
"""
