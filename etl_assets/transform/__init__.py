"""The stage between validation and loading where a source's own Python may reshape rows."""

from etl_assets.transform.transformer import Transformer

__all__ = ["Transformer"]
