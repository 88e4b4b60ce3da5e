"""The documentation as a site: the pages that are generated from the code, and what MkDocs needs to know of the others.

`hooks` is what ``mkdocs.yml`` names. Each other module generates the pages of one part of the reference.
"""
