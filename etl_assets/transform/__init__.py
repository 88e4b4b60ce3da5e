"""The stage between validation and loading, in which Python code of a source reshapes rows."""

from etl_assets.transform.transformer import Transformer

__all__ = ["Transformer"]
