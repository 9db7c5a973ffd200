"""A Prometheus and an Alertmanager of one's own making: with a secret in every text, or with answers nested deeply.

The fake Alertmanager compares matchers as the real one does, with the labels as they are. What PromQL says, this fake
Prometheus does not evaluate: it answers every query alike.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.testing import FakeHttp, HttpRequest
from klepaas.testing.fault_proxy import Answer

__all__ = ["serve_deep", "serve_large", "serve_secrets", "serving_settings"]

Json = dict[str, Any]
_PATHS = (
    *(("POST", f"/api/v1/{name}") for name in ("query", "query_range", "series", "labels")),
    *(("GET", f"/api/v1/{name}") for name in ("metadata", "alerts", "rules", "targets", "label/{label}/values")),
    *(("GET", f"/api/v2/{name}") for name in ("alerts", "alerts/groups", "silences", "silence/{id}", "status")),
    *(("POST", "/api/v2/silences"), ("DELETE", "/api/v2/silence/{id}")),
)
SILENCE_ID = "7d8b5b0e-2d0f-4a3c-9e39-0f4d3a1c2b10"
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def serving_settings(fake: FakeHttp) -> dict[str, str]:
    """The variables with which klepaas asks the fake.

    Args:
        fake: The fake, as both servers.
    """
    return {"KLEPAAS_PROMETHEUS_BASE_URL": fake.url, "KLEPAAS_ALERTMANAGER_URL": fake.url}


def serve_deep(fake: FakeHttp, levels: int, secret: str) -> None:
    """Let the fake answer everything with rows that are nested deeply, with a secret at their bottom.

    Args:
        fake: The fake.
        levels: How deeply.
        secret: The secret.
    """
    deep = '{"a":' * levels + json.dumps({"password": secret}) + "}" * levels
    labels = f'{{"alertname":"X","token":{deep},"job":{deep}}}'
    at = time.time()
    row = (
        f'{{"metric":{labels},"labels":{labels},"annotations":{deep},"state":"firing","health":"down","id":"{SILENCE_ID}",'
        f'"value":[{at},"1"],"values":[[{at},"1"]],"status":{{"state":{deep}}},"matchers":[{deep}],"alerts":[{deep}],'
        f'"rules":[{{"type":"alerting","name":"R","query":"up","labels":{labels}}}],"silenceID":{deep}}}'
    )
    for method, path in _PATHS:
        body = f"[{row},{deep}]" if path.startswith("/api/v2/") else _prometheus_body(path, row, deep)
        fake.answer(method, path, (row if path.count("silence/") or path.endswith("status") else body).encode())


def _prometheus_body(path: str, row: str, deep: str) -> str:
    name = path.rpartition("/")[2]
    rows = f"[{row},{deep}]"
    keys = {
        "alerts": "alerts",
        "rules": "groups",
        "targets": "activeTargets",
        "query": "result",
        "query_range": "result",
    }
    data = f'{{"{keys[name]}":{rows}}}' if name in keys else f'{{"up":[{deep}]}}' if name == "metadata" else rows
    return f'{{"status":"success","data":{data},"warnings":[{deep}]}}'


def serve_secrets(fake: FakeHttp, secret: str) -> None:
    """Let the fake answer with the secret in each text that it can stand in, and with much that is none.

    Args:
        fake: The fake.
        secret: The secret.
    """
    for name, rows in {"query": _vector(secret), "query_range": _matrix(secret)}.items():
        fake.answer("POST", f"/api/v1/{name}", _success({"resultType": "matrix", "result": rows}))
    fake.answer("POST", "/api/v1/series", _success([one["metric"] for one in _vector(secret)]))
    fake.answer("POST", "/api/v1/labels", _success(["__name__", "job", "token"]))
    fake.handle("GET", "/api/v1/label/{label}/values", lambda request: _values(request, secret))
    meaning = {"type": "gauge", "help": f"Connects with password={secret} to the shop."}
    fake.answer(
        "GET", "/api/v1/metadata", _success({"shop_up": [meaning], "mall_up": [{"type": "gauge", "help": "x"}]})
    )
    fake.answer("GET", "/api/v1/alerts", _success({"alerts": [_pending(one) for one in _alerts(secret)]}))
    fake.answer("GET", "/api/v1/rules", _success({"groups": [{"rules": list(_rules(secret))}]}))
    fake.answer("GET", "/api/v1/targets", _success({"activeTargets": list(_targets(secret))}))
    fake.handle("GET", "/api/v2/alerts", lambda request: _json(_fitting(request, _alerts(secret))))
    fake.handle("GET", "/api/v2/alerts/groups", lambda request: _json(list(_groups(request, secret))))
    fake.handle("GET", "/api/v2/silences", lambda request: _json(_fitting_silences(request, secret)))
    fake.answer("GET", "/api/v2/silence/{id}", _silences(secret)[0])
    fake.answer("POST", "/api/v2/silences", {"silenceID": SILENCE_ID})
    fake.answer("DELETE", "/api/v2/silence/{id}", {})


def serve_large(fake: FakeHttp, text: str, size_chars: int) -> None:
    """Let the fake list alerts and label values of so much text.

    Args:
        fake: The fake.
        text: What each of them says.
        size_chars: How much text there is in all.
    """
    count = size_chars // (8 * len(text))
    labels = {"alertname": "ShopDown", "severity": "warning", "path": text}
    alerts = []
    for at in range(count):
        own = {**labels, "order": f"order {at} of {text}"}
        alerts.append({"labels": own, "annotations": {"summary": text * 6}, "startsAt": "2026-11-01T10:00:00Z"})
    fake.answer("GET", "/api/v2/alerts", alerts)
    fake.answer("GET", "/api/v1/alerts", _success({"alerts": [_pending(one) for one in alerts]}))
    fake.answer("GET", "/api/v1/label/{label}/values", _success([f"order {at} {text[:60]}" for at in range(30_000)]))


def _success(data: Any) -> Json:
    return {"status": "success", "data": data}


def _json(data: Any) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(data).encode())


def _label_sets(secret: str) -> list[dict[str, str]]:
    """Labels that hold the secret by their name or its form, and labels that do not; two share it, one has another."""
    address = f"postgres://app:{secret}@db:5432/app"
    return [
        {"job": "a", "token": secret},
        {"job": "b", "token": secret},
        {"job": "c", "token": "Mm5middleSecret01xK9q"},
        {"job": "d", "instance": address},
        {"job": address, "instance": "shop:80"},
        {"job": "e", "instance": "mall:80"},
    ]


def _vector(secret: str) -> list[Json]:
    return [
        {"metric": {"__name__": "shop_up", **labels}, "value": [1_700_000_000, str(at)]}
        for at, labels in enumerate(_label_sets(secret))
    ]


def _matrix(secret: str) -> list[Json]:
    times = [1_700_000_000 + 60 * at for at in range(10)]
    return [{"metric": one["metric"], "values": [[at, one["value"][1]] for at in times]} for one in _vector(secret)]


def _values(request: HttpRequest, secret: str) -> Answer:
    if request.names["label"] == "__name__":
        return _json(_success(["shop_up", "mall_up"]))
    values = {labels.get(request.names["label"], "plain") for labels in _label_sets(secret)}
    return _json(_success([*sorted(values), "Lll", "zzz"]))


def _alerts(secret: str) -> list[Json]:
    """Alerts in an order that depends on the secret, as fingerprints do."""
    found: list[Json] = []
    for at, labels in enumerate(_label_sets(secret)):
        notes = {"summary": f"login with password={secret} failed", "description": "x"}
        alert: Json = {"labels": {"alertname": "ShopDown", "severity": "warning", **labels}}
        alert |= {"annotations": notes if at % 2 else {"summary": "the shop is down"}}
        alert |= {"startsAt": "2026-11-01T10:00:00Z", "status": {"state": "active"}, "receivers": [{"name": "chat"}]}
        found.append(alert)
    return sorted(found, key=lambda one: str(one["labels"]))


def _pending(alert: Json) -> Json:
    return {**alert, "state": "firing", "activeAt": alert["startsAt"], "value": "1"}


def _rules(secret: str) -> Iterator[Json]:
    for name, query in (("A", f'up{{token="{secret}"}} == 0'), ("B", "up == 0")):
        alerts = [{"activeAt": "2026-11-01T10:00:00Z"}]
        yield {"type": "alerting", "name": name, "state": "firing", "query": query, "alerts": alerts, "labels": {}}
    error = f"cannot ask https://app:{secret}@db/x: password={secret}"
    yield {"type": "recording", "name": "C", "query": "up", "lastError": error}


def _targets(secret: str) -> Iterator[Json]:
    for labels in _label_sets(secret):
        for health, error in (("up", ""), ("down", f'Get "https://app:{secret}@shop/metrics": refused')):
            yield {"labels": labels, "health": health, "lastError": error, "lastScrape": "2026-11-01T10:00:00Z"}


def _silences(secret: str) -> list[Json]:
    one = {"state": "active"}
    times = {"startsAt": "2026-11-01T10:00:00Z", "endsAt": "2999-11-01T10:00:00Z"}
    matchers = [{"name": "token", "value": secret, "isRegex": False, "isEqual": True}]
    plain = [{"name": "job", "value": "a", "isRegex": False, "isEqual": True}]
    said = {"createdBy": "kim", "comment": f"until password={secret} is changed", "status": one, **times}
    return [
        {"id": SILENCE_ID, "matchers": matchers, **said},
        {"id": SILENCE_ID.replace("7", "8"), "matchers": plain, **said},
    ]


def _filters(request: HttpRequest) -> list[tuple[str, str, str]]:
    texts = [value for name, value in request.query if name == "filter"]
    return [found.groups() for text in texts if (found := _MATCHER.fullmatch(text))]  # type: ignore[misc]


def _fits(labels: Mapping[str, str], filters: list[tuple[str, str, str]]) -> bool:
    """As Alertmanager compares: a label that is not there is empty, expressions are anchored."""
    for name, operator, value in filters:
        known = labels.get(name, "")
        same = re.fullmatch(value, known) is not None if operator.endswith("~") else known == value
        if same is operator.startswith("!"):
            return False
    return True


def _fitting(request: HttpRequest, alerts: list[Json]) -> list[Json]:
    filters = _filters(request)
    return [one for one in alerts if _fits(one["labels"], filters)]


def _fitting_silences(request: HttpRequest, secret: str) -> list[Json]:
    filters = _filters(request)
    named = [({each["name"]: each["value"] for each in one["matchers"]}, one) for one in _silences(secret)]
    return [one for labels, one in named if _fits(labels, filters)]


def _groups(request: HttpRequest, secret: str) -> Iterator[Json]:
    for one in _fitting(request, _alerts(secret)):
        labels = {name: value for name, value in one["labels"].items() if name != "severity"}
        yield {"labels": labels, "receiver": {"name": "chat"}, "alerts": [one]}
