"""The built-in templates, in English and Korean: the first line is the title, the rest the text."""

from collections.abc import Mapping

__all__ = ["BUILT_IN", "DEFAULT"]

DEFAULT = "default"
_REST = "\n{{ text | evidence }}\n"
_PLACE = "{% if facts.url %}\n{{ facts.url }}{% endif %}"

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "en": {
        "deployment_succeeded": "✅ Deployed: {{ title }}" + _PLACE + "\n",
        "deployment_failed": "❌ Failed: {{ title }}" + _REST,
        "deployment_rolled_back": "↩️ Rolled back: {{ title }}" + _PLACE + "\n",
        "circuit_breaker_opened": (
            "⚠️ Circuit breaker open: {{ facts.upstream }}\n{{ title }}. Calls are refused until it answers again.\n"
        ),
        "circuit_breaker_closed": "✅ Circuit breaker closed: {{ facts.upstream }}\n{{ title }}.\n",
        "health_alert": "{{ '✅' if facts.status == 'ok' else '⚠️' }} Health: {{ title }}" + _REST,
        "test": "Test: {{ title }}\nWhoever reads this gets the notifications of klepaas.\n",
        DEFAULT: "{{ title }}" + _REST,
    },
    "ko": {
        "deployment_succeeded": "✅ 배포 성공: {{ title }}" + _PLACE + "\n",
        "deployment_failed": "❌ 배포 실패: {{ title }}" + _REST,
        "deployment_rolled_back": "↩️ 롤백: {{ title }}" + _PLACE + "\n",
        "circuit_breaker_opened": (
            "⚠️ 서킷 브레이커 열림: {{ facts.upstream }}\n{{ title }}. 다시 응답할 때까지 호출을 거부합니다.\n"
        ),
        "circuit_breaker_closed": "✅ 서킷 브레이커 닫힘: {{ facts.upstream }}\n{{ title }}.\n",
        "health_alert": "{{ '✅' if facts.status == 'ok' else '⚠️' }} 상태 알림: {{ title }}" + _REST,
        "test": "테스트: {{ title }}\n이 메시지를 받은 곳으로 klepaas 알림이 전송됩니다.\n",
        DEFAULT: "{{ title }}" + _REST,
    },
}
