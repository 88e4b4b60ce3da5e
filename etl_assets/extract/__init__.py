"""Fetch the bytes of a delivery, unpack them, and cut them into records. Values are not interpreted here."""
