"""XML: the format, the reader that cuts a document into batches, and the parser of records."""

from etl_assets.extract.formats.xml.format import Xml

__all__ = ["Xml"]
