"""This project beside other servers: the same weights, JPEG in and JSON out, in one run of alternating rounds.

``catalogue`` names the servers; ``servers/`` holds what each of them runs, ``requirements/`` its packages, and
``requests`` how each is asked. ``environments`` and ``networks`` make what they need, ``running`` starts and weighs
them, ``load`` asks them, ``agreement`` compares their responses, ``rounds`` alternates them, ``summary`` and ``report``
say what came out.
"""
