"""What runs cost: one scenario in each module, which is found because it is there.

A module has a `benchmarks.cost.Scenario` named ``SCENARIO``. ``python -m benchmarks.costs`` measures those that take no
longer than two minutes or so and writes their part of ``RESULTS.md``; ``--full`` measures all, ``--quick`` shows that
they work. ``python -m benchmarks.costs.NAME`` measures one alone.
"""
