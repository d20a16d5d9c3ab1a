"""Several networks by several seeds: accuracy against cost."""
