"""Pages: the answers of an API as they came, frozen one after the other, and the format that reads them."""

from etl_assets.extract.pages.container import MAGIC, PageHead, packed
from etl_assets.extract.pages.format import Pages

__all__ = ["MAGIC", "PageHead", "Pages", "packed"]
