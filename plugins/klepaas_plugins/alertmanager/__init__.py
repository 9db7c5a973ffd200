"""Alertmanager: its alerts and silences, and what it tells klepaas by webhook, with the evidence of that moment."""
