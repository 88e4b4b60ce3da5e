"""Delimited text: the options, the reader, and the scan that finds records before they are parsed."""

from etl_assets.extract.formats.csv.format import Csv

__all__ = ["Csv"]
