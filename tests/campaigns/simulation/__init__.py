"""A plant-month of buying on a virtual clock, with everything that can go wrong, and invariants after every event.

    python -m tests.campaigns.simulation --months 50 --seed 7

The whole money core runs as it is: needs go in, suppliers behind the port come out, and the store keeps its promise
without a thread. Each month is a plant of its own (10 machines, 30 components) and has its own seed: month k of
`--seed S` is `S + k`, so that any month is replayed alone by `--seed (S + k) --months 1`.
"""
