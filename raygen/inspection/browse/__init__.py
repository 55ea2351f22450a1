"""Looking at a dataset's rows: what was kept, what was dropped and why, and what people say of it.

Reads datasets and writes verdicts beside them. Knows nothing of terminals.
"""
