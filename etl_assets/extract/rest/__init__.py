"""RestExtractor: the pages of a REST API, with its paging, its limits, and where the last fetch ended."""
