"""Any order of acts, chosen by Hypothesis, over the whole money core: never over a limit, and the sums are right.

python -m tests.campaigns.stateful --runs 5000 --seed 7
"""
