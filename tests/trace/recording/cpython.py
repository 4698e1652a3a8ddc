"""Parts of CPython's own test suite, untraced and under both engines: each test's result must be the same.

    python tests/trace/recording/cpython.py [--pythons 3.11 3.12] [--modules test_list ...] [--engines native python]

    interpreter -I cpython.py --child MODULE ENGINE --> {test id: result}, and how many frames were recorded

Each run is a process of its own. The scope is the test file (or the folder of a test package), and every test is a
recording of its own that goes on untraced once its budget is spent. What still differs is looked for in `EXCEPTIONS`;
anything else makes the exit status 1. An interpreter that was installed without its tests is said to be so.
"""

import argparse
import contextlib
import fnmatch
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TRACE = os.path.join(HERE, os.pardir, os.pardir, os.pardir, "src", "opencwm", "trace")
MODULES = """
    test_list test_dict test_set test_tuple test_deque test_range test_slice test_iter test_enumerate test_sort
    test_generators test_genexps test_generator_stop test_pep479 test_yield_from test_listcomps test_setcomps
    test_dictcomps test_named_expressions test_unpack test_unpack_ex test_augassign test_bool test_compare
    test_exceptions test_raise test_exception_group test_except_star test_exception_variations test_baseexception
    test_coroutines test_asyncgen test_contextlib test_contextlib_async test_with test_scope test_global test_closures
    test_dataclasses test_enum test_class test_descr test_property test_super test_metaclass test_abc test_typechecks
    test_funcattrs test_functools test_decorators test_keywordonlyarg test_positional_only_arg test_extcall test_call
    test_operator test_itertools test_collections test_heapq test_bisect test_copy test_weakref test_weakset test_gc
    test_finalization test_patma test_grammar test_syntax test_string test_userdict test_userlist test_fstring test_json
    test_threading test_threading_local test_queue test_context test_frame test_traceback test_inspect
""".split()
EXCEPTIONS = {
    "test.test_generators.SignalAndYieldFromTest.test_raise_and_yield_from": (
        "a signal that is pending while a frame is entered is raised in that frame, not in the one that it resumes",
        (),
    ),
    "test.test_gc.GCTests.test_newinstance": ("classes that were met live until the recording ends", ()),
    "test.test_weakref.ReferencesTestCase.test_callback_in_cycle_resurrection": (
        "classes that were met live until the recording ends",
        (),
    ),
    "test.test_descr.ClassPropertiesAndMethods.test_slots": (
        "it counts `gc.get_objects()`, which has what is known about code and classes among them",
        (),
    ),
    "test.test_threading.ThreadTests.test_gettrace_all_threads": (
        "it expects that a thread has no trace function to begin with",
        ("python",),
    ),
    "test.test_frame.TestIncompleteFrameAreInvisible.test_sneaky_frame_object": (
        "it has the very next allocation collect, which is that of a frame object where a trace function is set",
        ("3.11",),
    ),
}
"""Test -> why its result is another one, and on which versions or engines alone."""
TIMEOUT_S = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", nargs="+", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--modules", nargs="+", default=MODULES)
    parser.add_argument("--engines", nargs="+", default=["native", "python"])
    arguments = parser.parse_args()
    sys.path.insert(0, os.path.join(HERE, os.pardir, os.pardir))
    import interpreters

    num_wrong = 0
    for version in arguments.pythons:
        python = interpreters.find(version)
        if python is None or not has_tests(python):
            print("Python {}: {}".format(version, "not found" if python is None else "installed without its tests"))
            continue
        for engine in arguments.engines:
            num_wrong += compare(python, version, engine, arguments.modules)
    raise SystemExit(1 if num_wrong else 0)


def has_tests(python):
    code = "import test.support, unittest, importlib.util as u; raise SystemExit(u.find_spec('test.test_list') is None)"
    return subprocess.run([python, "-I", "-c", code], stderr=subprocess.DEVNULL).returncode == 0


def compare(python, version, engine, modules):
    """Print a row per module; the number of differences that nothing explains."""
    num_wrong = num_tests = num_explained = num_frames = 0
    print("\nPython {}, {} engine\n{:<28}{:>7}{:>9}{:>11}".format(version, engine, "module", "tests", "same", "frames"))
    for module in modules:
        plain = results(python, module, "none")
        if plain is None:
            continue
        traced = results(python, module, engine)
        found = differences(plain["results"], traced["results"])
        wrong = [line for line in found if not explained(line[0], version, engine)]
        num_same = len(plain["results"]) - len(found)
        print(
            "{:<28}{:>7}{:>9}{:>11}".format(module, len(plain["results"]), num_same, traced["num_frames"]), flush=True
        )
        for name, before, after in wrong:
            print(f"    {name}: {before} untraced, {after} traced", flush=True)
        num_wrong += len(wrong)
        num_explained += len(found) - len(wrong)
        num_tests += len(plain["results"])
        num_frames += traced["num_frames"]
    row = "{:<28}{:>7}{:>9}{:>11}"
    print(row.format("all", num_tests, num_tests - num_wrong - num_explained, num_frames))
    print(f"{num_wrong + num_explained} differ: {num_explained} explained, {num_wrong} not")
    return num_wrong


def results(python, module, engine):
    """What a module's tests came to; None where this version has no such module."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment.update(PYTHONHASHSEED="0", PYTHONNOUSERSITE="1")
        argv = [python, os.path.abspath(__file__), "--child", module, engine, out]
        try:
            done = subprocess.run(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return {"results": {"(the module)": "timeout"}, "num_frames": 0}
        if done.returncode == 4:
            return None
        if not os.path.exists(out):
            end = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            return {"results": {"(the module)": f"ended with {done.returncode}: {end}"}, "num_frames": 0}
        with open(out, encoding="utf-8") as file:
            return json.load(file)


def differences(plain, traced):
    """(test, result untraced, result traced)"""
    names = list(dict.fromkeys([*plain, *traced]))
    return [(n, plain.get(n), traced.get(n)) for n in names if plain.get(n) != traced.get(n)]


def explained(name, version, engine):
    """Why a test's result may differ, or None."""
    for pattern, (why, where) in EXCEPTIONS.items():
        if fnmatch.fnmatchcase(name, pattern) and (not where or version in where or engine in where):
            return why
    return None


# ---- in the child, on any version


FOUND = {"results": {}, "num_frames": 0}
NOW = []
"""The recorder at work. Not on `Results`: a test's `self` leads there, and what it holds would be recorded."""


class Results(unittest.TestResult):
    """What each test came to, each a recording of its own."""

    def startTest(self, test):
        super().startTest(test)
        FOUND["results"][test.id()] = "ok"
        NOW.append(start())
        NOW[0].__enter__()

    def stopTest(self, test):
        recorder = NOW.pop()
        recorder.__exit__(None, None, None)
        FOUND["num_frames"] += sum(header["num_frames"] for header in getattr(recorder, "headers", ()))
        failure = getattr(getattr(recorder, "engine", None), "failure", None)
        if failure is not None and "RecursionError" not in failure:
            FOUND["results"][test.id()] = "the recorder failed: " + failure
        super().stopTest(test)

    def addError(self, test, err):
        note(test, "error " + err[0].__name__, err)

    def addFailure(self, test, err):
        note(test, "failure", err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            note(test, "failure in a part", err)

    def addSkip(self, test, reason):
        note(test, "skipped")

    def addExpectedFailure(self, test, err):
        note(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        note(test, "unexpected success")


def note(test, text, err=None):
    if FOUND["results"].get(test.id(), "ok") == "ok":
        FOUND["results"][test.id()] = text
    if err is not None and os.environ.get("SHOW"):
        import traceback

        print(test, *traceback.format_exception(*err), file=sys.stderr)


def child(module, engine, out):
    if importlib.util.find_spec("test." + module) is None:
        raise SystemExit(4)
    global start
    if engine == "none":
        start = contextlib.nullcontext
    else:
        sys.path.insert(0, TRACE)
        from recording.options import Options
        from recording.recorder import Recorder
        from recording.scope import Scope

        sys.path.pop(0)
        origin = importlib.util.find_spec("test." + module).origin
        is_package = os.path.basename(origin) == "__init__.py"
        scope = Scope([os.path.dirname(origin) if is_package else origin])
        options = Options(on_budget="stop_recording", max_frames=20_000, max_bytes=10_000_000, timeout_s=1.0)

        def start():
            return Recorder(options, scope, engine=engine)

    suite = unittest.defaultTestLoader.loadTestsFromName("test." + module)
    suite.run(Results())
    with open(out, "w", encoding="utf-8") as file:
        json.dump(FOUND, file)
    sys.stdout.flush()
    os._exit(0)  # whatever threads a test left behind


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
