"""What carries a deployment out (a cluster, Naver Cloud, Google Cloud). None is built in yet.

Until an agent exists, `deploy_application` applies an image to a cluster itself (`klepaas_plugins.deployments`).
"""
