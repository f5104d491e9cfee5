"""The flow language: its model, its spelling, its checks. Imports neither the gateway nor ``ivr.run``."""
