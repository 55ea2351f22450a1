"""Recipes by reference: from git, the Hugging Face hub, object stores and the web.

Knows files and where they come from; of recipes only which texts in them may name a file.
"""
