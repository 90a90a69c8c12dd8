"""Adapters: one file a framework, imported only by who has it."""
