"""The controllers: what moves objects towards what they ask for.

Deployments, ReplicaSets, StatefulSets and Jobs with their pods; scheduling and the kubelet's part; endpoints; garbage
collection; namespaces; quotas, budgets, claims and custom resource definitions. DaemonSets, CronJobs, autoscalers and
volumes have none here: such objects are stored and nothing follows.
"""
