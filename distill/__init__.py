"""A laboratory for distilling large models into small ones: compose, sweep, prove, export.

Floors, an import only goes down (checked by ``tests/test_floors.py``)::

    6  __main__
    5  cli
    4  training | sweeps | export
    3  evaluation, then losses | teachers
    2  signals | alignment | data | students | rollouts | reports
    1  models, then types, then rows | storage | names | secrets | layers | divergences, then
       errors | ranges
"""
