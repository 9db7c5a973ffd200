# ruff: noqa: E501
"""Secrets in texts of Kubernetes: manifests inside texts, what commands print, Helm values."""

FAMILIES = {
    "manifests in text": (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: «name»\nstringData:\n  any: «p»\n  other: «w»\n",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: «name»\ntype: Opaque\ndata:\n  one: «b»\n  two: «b»\n",
        'apiVersion: v1\ndata:\n  one: "«b»"\nkind: Secret\nmetadata:\n  name: «name»\n',
        '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"«name»"},"data":{"one":"«b»","two":"«b»"}}',
        '{"kind": "Secret", "stringData": {"any": "«p»"}, "metadata": {"name": "«name»"}}',
        'spec:\n  containers:\n  - name: «name»\n    env:\n    - name: DB_PASSWORD\n      value: "«p»"\n    - name: PORT\n      value: "80"\n',
        "    livenessProbe:\n      httpGet:\n        httpHeaders:\n        - name: Authorization\n          value: Bearer «k»\n",
        "kind: Secret\napiVersion: v1\nstringData:\n  config.yaml: |\n    anything: «p»\n    more: «w»\nmetadata:\n  name: «name»\n",
        "kind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  data:\n    x: «b»\n- kind: ConfigMap\n  data:\n    y: plain\n",
    ),
    "kubectl output": (
        "    Environment:\n      DB_PASSWORD:  «p»\n      REGION:       kr\n",
        "    Args:\n      --admin-token\n      «k»\n      --port=80\n",
        "    Command:\n      sh\n      -c\n      mysql -uroot -p«p» -e 'select 1'\n",
        "users:\n- name: «user»\n  user:\n    token: «j»\n",
        "users:\n- name: «user»\n  user:\n    client-key-data: «l»«l»\n",
        "    password: «p»\n    username: «user»\n",
        "Annotations:  example.com/api-token: «k»\n",
        ".dockerconfigjson: eyJhdXRocyI6«l»",
        "TOKEN                     TTL   EXPIRES\n«u6».«u16»   23h   2026-12-01\n",
    ),
    "helm values": (
        "auth:\n  rootPassword: «p»\n  database: «db»\n",
        'global:\n  postgresql:\n    auth:\n      postgresPassword: "«p»"\n      existingSecret: ""\n',
        "adminUser: «user»\nadminPassword: «w»\n",
        'config:\n  clientID: «name»\n  clientSecret: "«c»"\n  cookieSecret: "«k»"\n',
        "extraEnvVars:\n  - name: SMTP_PASSWORD\n    value: «p»\n",
        "grafana.ini:\n  security:\n    admin_password: «p»\n",
        "minio:\n  rootUser: «user»\n  rootPassword: «p»\n",
        "externalDatabase:\n  host: «host»\n  user: «user»\n  password: «s»\n",
        "secrets:\n  payment: «k»\n  enabled: true\n",
        "rabbitmq:\n  auth:\n    erlangCookie: «k»\n",
        "USER-SUPPLIED VALUES:\nimage: web\njwtSecret: «c»\n",
        "argo-cd:\n  configs:\n    secret:\n      argocdServerAdminPassword: $2a$10$«hash53»\n",
        "imageCredentials:\n  registry: «host»\n  username: «user»\n  password: «p»\n",
    ),
}
