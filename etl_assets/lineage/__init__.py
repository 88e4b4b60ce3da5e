"""Lineage as events of OpenLineage: what each run read, where it wrote, and what its checks found."""
