"""`opencwm demo`: the main job end to end (`run.py`), and the page that tells about it (`page.py`)."""
