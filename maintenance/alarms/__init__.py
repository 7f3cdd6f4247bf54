"""Condition alarms: what is wrong with components and what is heard of them, in the terms of ANSI/ISA-18.2-2016.

They tell people and do nothing else: no alarm here starts or stops a purchase. Alarms about money are the
marketplace's own (`marketplace.authority.alarms`).
"""
