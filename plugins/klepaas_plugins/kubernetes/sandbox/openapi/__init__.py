"""What the schemas of the Kubernetes API are used for: types, unknown fields, list keys, and the documents themselves.

`data/` is an extract of the OpenAPI v3 documents that a Kubernetes 1.36 API server publishes of its own kinds (see
`data/NOTICE`), made by `extract`: only the kinds the sandbox serves and what they are made of; the descriptions apart
from the structure, cut to their first sentences. Each half is loaded when it is first asked for.
"""
