"""Ops about answers that are there already. They make none, and know nothing of prompts for them.

The registry takes the modules; others use no name of this folder.
"""
