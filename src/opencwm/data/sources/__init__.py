"""What traces are made from: one file per source, and what a source is (`base.py`)."""
