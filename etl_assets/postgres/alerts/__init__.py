"""Alerts, their notifications, and the statistics that alert rules compare with."""
