"""The recorder. No dependencies, Python 3.8 and newer, nothing else of ours: this folder can be used on its own."""
