"""Alerts, their notifications, and the figures that alert rules compare with."""
