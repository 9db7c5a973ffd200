"""What clients show of the prompts in each language: titles, descriptions, and what each argument means."""

from collections.abc import Mapping

from klepaas.output.verdict import Claim, term
from klepaas.prompts import Wording

__all__ = ["DEPLOY", "POST_MORTEM", "ROLLBACK", "TROUBLESHOOT", "TUTORIAL"]

_PLACE = {"namespace": "Its namespace, if not the usual one", "context": "The cluster's context, if not the usual one"}
_PLACE_KO = {"namespace": "네임스페이스(기본값이 아닐 때)", "context": "클러스터 컨텍스트(기본값이 아닐 때)"}
_APP = {"app_name": "The application"}
_APP_KO = {"app_name": "애플리케이션 이름"}

DEPLOY: Mapping[str, Wording] = {
    "en": Wording(
        "Deploy an application",
        f"Look first, show the plan, ask, deploy, and check that it is {term(Claim.HEALTHY)}.",
        {**_APP, "image": "The image with its tag", **_PLACE, "wish": "Anything else: port, number of pods, variables"},
    ),
    "ko": Wording(
        "애플리케이션 배포",
        f"먼저 살펴보고 계획을 보여 준 뒤, 확인을 받아 배포하고 {term(Claim.HEALTHY, 'ko')}인지 확인합니다.",
        {**_APP_KO, "image": "태그를 포함한 이미지", **_PLACE_KO, "wish": "그 밖의 요청: 포트, 파드 수, 환경 변수"},
    ),
}
TROUBLESHOOT: Mapping[str, Wording] = {
    "en": Wording(
        "Find out what is wrong",
        "Find the cause of an application's trouble with tools that only read, and propose one thing to do.",
        {**_APP, "symptom": "What you see: errors, slowness, restarts", **_PLACE},
    ),
    "ko": Wording(
        "문제 원인 찾기",
        "읽기 전용 도구로 애플리케이션 문제의 원인을 찾고 할 일을 하나 제안합니다.",
        {**_APP_KO, "symptom": "겪고 있는 증상: 오류, 느림, 재시작", **_PLACE_KO},
    ),
}
ROLLBACK: Mapping[str, Wording] = {
    "en": Wording(
        "Roll an application back",
        "Show what would come back and what would not, ask, roll back, and check.",
        {
            **_APP,
            "release": f"The release's number, if not the last {term(Claim.VERIFIED)} one",
            "reason": "Why",
            **_PLACE,
        },
    ),
    "ko": Wording(
        "애플리케이션 롤백",
        "되돌아오는 것과 그렇지 않은 것을 보여 주고, 확인을 받아 롤백한 뒤 상태를 확인합니다.",
        {
            **_APP_KO,
            "release": f"릴리스 번호(마지막 {term(Claim.VERIFIED, 'ko')}된 릴리스가 아닐 때)",
            "reason": "이유",
            **_PLACE_KO,
        },
    ),
}
POST_MORTEM: Mapping[str, Wording] = {
    "en": Wording(
        "Write a post-mortem",
        "Collect events, logs and releases of an incident, and write a blameless post-mortem with a timeline.",
        {**_APP, **_PLACE, "what_happened": "What you know, and since when"},
    ),
    "ko": Wording(
        "장애 사후 분석 작성",
        "장애의 이벤트, 로그, 릴리스를 모아 타임라인이 있는 포스트모템을 작성합니다.",
        {**_APP_KO, **_PLACE_KO, "what_happened": "알고 있는 내용과 시작된 시각"},
    ),
}
TUTORIAL: Mapping[str, Wording] = {
    "en": Wording(
        "Learn klepaas",
        "A guided tour in nine steps: deploy, scale, update, roll back, break, repair. Best in the sandbox.",
        {
            "step": "Where to begin: start, 1 to 9, or reset to clean up and begin again",
            **_PLACE,
            "wish": "Anything else",
        },
    ),
    "ko": Wording(
        "klepaas 배우기",
        "아홉 단계로 배포, 스케일, 업데이트, 롤백, 장애, 복구를 따라 해 봅니다. 샌드박스에서 하기를 권합니다.",
        {"step": "시작할 곳: start, 1~9, 정리하고 다시 시작하려면 reset", **_PLACE_KO, "wish": "그 밖의 요청"},
    ),
}
