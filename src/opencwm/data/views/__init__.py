"""Views of recorded traces as pairs of prompt and completion: prose, debugger trajectories, output and input questions.

dataset of traces --derive--> dataset of pairs
"""
