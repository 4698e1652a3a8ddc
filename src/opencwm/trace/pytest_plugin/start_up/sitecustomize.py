"""Records a Python process that a test of a recorded suite has started; does nothing in any other.

    OPENCWM_TRACE=JOB.json PYTHONPATH=(this folder):(the plugin's) python ...

The interpreter imports a `sitecustomize` when it starts. The next one on the path, of the project or the distribution,
is run in our place, as if we were not there. What is recorded is the program up to its end, not its modules' own top
level: functions, whenever they are called, and the script itself.
"""

import sys

FOLDER = __file__.replace("\\", "/").rpartition("/")[0]


def run_next() -> None:
    """The `sitecustomize` that would have been imported without us, under its name."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    others = [folder for folder in sys.path if folder.replace("\\", "/") != FOLDER]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def record_process() -> None:
    import os

    test, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    if phase != "(call)" or not os.environ.get("OPENCWM_TRACE"):
        return
    try:
        import opencwm_windows

        job = opencwm_windows.job_here()
        if job is not None and job.get("with_children"):
            opencwm_windows.Windows(job).record_process(test)
    except Exception:  # the program goes on, unrecorded
        return


try:
    run_next()
finally:
    record_process()
