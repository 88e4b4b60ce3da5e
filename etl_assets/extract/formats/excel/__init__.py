"""The format of workbooks; `format` has its class, and ``child`` what runs in the process that reads a workbook."""
