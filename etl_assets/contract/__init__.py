"""Data contracts: a declaration as a document of the Open Data Contract Standard, and a declaration from one.

What the standard has a place for is written there. Everything else of a declaration is in custom properties, as the
Python that declares it, and is read back without being executed. What neither can carry is listed. `exporting` writes,
`importing` reads, ``fields`` and ``columns`` map the two, ``values`` writes and reads Python.
"""

from etl_assets.contract.exporting import Exported, export
from etl_assets.contract.importing import Imported, import_contract

__all__ = ["Exported", "Imported", "export", "import_contract"]
