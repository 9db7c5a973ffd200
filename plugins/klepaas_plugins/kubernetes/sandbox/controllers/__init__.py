"""The controllers: what moves objects towards what they ask for.

Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs with their pods; scheduling and the kubelet's part; claims
and volumes; autoscalers; endpoints; garbage collection; namespaces; quotas, budgets and custom resource definitions.
CronJobs have none here: they are stored and nothing follows.
"""
