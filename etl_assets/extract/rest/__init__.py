"""RestExtractor: the pages of an interface on the web, with its paging, its limits, and where the last fetch ended."""
