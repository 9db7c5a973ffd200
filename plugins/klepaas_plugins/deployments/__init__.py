"""The application verbs: deploy, look, scale, restart, roll back, over the public client of the kubernetes plugin.

An application is a workload with what belongs to it. Every verb waits by watching and ends with the decisive signal:
healthy, or failed with object, container, reason, exit code, last log lines and event. It keeps no state of its own:
what klepaas wanted before stands in the objects' managedFields, history in the cluster's own revisions.
"""
