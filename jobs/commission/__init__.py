"""Commissioning: the first hour on a new kind of node, kept as one JSON and one HTML file whose id stands in its rows.

Each step has a function that measures and functions that judge: judgement sees values only.
"""
