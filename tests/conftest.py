"""What every test runs under: other interpreters where they are found (`interpreters.py`), and few threads."""

import os

import hypothesis

pytest_plugins = ["interpreters"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests are small, machines are shared
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.load_profile("default")
