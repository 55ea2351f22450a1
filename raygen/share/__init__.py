"""A dataset for others: its card, its files on the hub or elsewhere, and other formats."""
