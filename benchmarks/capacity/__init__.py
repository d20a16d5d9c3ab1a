"""How many pods a load needs, what they cost, and what breaks first: computed, simulated, and held against reality.

``plan`` computes sizes from service times; ``service`` simulates both tiers, with the gateway's own admission in
simulated time, and ``scaling`` their HPAs; ``validate`` and ``cluster`` compare that with running processes and pods.
"""
