"""How many pods a load needs, what they cost, and what breaks first: computed, simulated, and held against reality.

``plan`` computes sizes from service times; ``service`` simulates both tiers, with the gateway's own admission in
simulated time, and ``scaling`` their HPAs; ``steps`` compares ways of scaling; ``validate`` and ``cluster`` compare the
simulation with running processes and pods.
"""
