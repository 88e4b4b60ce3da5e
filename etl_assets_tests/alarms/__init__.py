"""Judges the alerts of the monitors: feeds of which the truth is known, and which of their alerts are right.

``python -m etl_assets_tests.alarms`` writes docs/alarm-quality.md. Deliveries are profiles, in memory; what decides is
the code of the monitors and the rules that pair a change of level with an open alert.
"""
