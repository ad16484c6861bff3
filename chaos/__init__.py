"""The fault tests: real servers and workers are broken while work goes on, and every effect of a
job is counted. `python -m chaos` runs them in full; tests/faults runs the same ones small.
"""
