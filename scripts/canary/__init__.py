"""Try the next model on a cluster beside the one that serves: begin, compare, promote, roll back.

It needs Python and kubectl alone, so that it runs without what ``make`` installs. docs/canary.md says how to use it.
"""
