"""Programming contests: problems with tests, solutions to them, their verdicts, and the programs to record.

files --problems.py--> Problem(statement, cases, solutions)  <--solutions.py-- a model that writes more
Problem, Solution --judge.py: sandboxed child--> Judged --programs.py: balanced--> programs to record
"""
