"""Repositories as a source of traces: recorded test suites, cut into episodes with the source that they need.

    history.py     git history --commits worth trying--> a tree of files each
    suite.py       tree --its tests, in the guarded child--> traces of tests
    calls.py       trace --stack rule--> calls
    episodes.py    calls --chosen for diversity, folded--> function-level traces
    context.py     sources.py, lines that a trace quotes --> the source that predicts it
    files.py       the same for one file of traces: `opencwm data episodes`

CWM (arXiv 2510.02387) section 2.2, "Repository-level": pytest traces are "episodified" with a stack depth and a
stochastic step-in probability, and the source context is gathered and compressed.
"""
