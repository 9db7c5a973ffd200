"""What tests of plugins need: a clock to turn and a proxy that breaks connections; nothing of a cloud or a cluster.

Needs no test framework. Nothing of klepaas imports it but tests.
"""
