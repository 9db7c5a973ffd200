"""Writes `everyday-requests.md` and its Korean sister from `everyday.toml`.

    python docs/everyday_table.py

A test compares the files with what this writes, and makes each call.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HEADS = {
    "en": """\
# Everyday requests

Written by `docs/everyday_table.py` from `docs/everyday.toml`; a test makes each of these calls and looks at its answer.

Say it in your own words, in English or Korean: each of these wishes is one call of one tool. What changes something
needs a server with `--writes`, and is confirmed by a person where the [policy](security.md#confirmation) says so.
Without a namespace, the one of the context is meant.

| you say | in Korean | the call |
|---|---|---|
""",
    "ko": """\
# 자주 하는 요청

이 페이지는 `docs/everyday_table.py`가 `docs/everyday.toml`로 만듭니다. 테스트가 모든 호출을 실제로 실행하고 답변을
확인합니다.

한국어든 영어든 편한 말로 요청하세요. 아래 요청은 모두 도구를 한 번만 호출하면 됩니다. 무언가를 바꾸는 요청은
`--writes`로 시작한 서버에서만 되고, [정책](security.md#confirmation)에 따라 사람의 확인을 받습니다. 네임스페이스를
말하지 않으면 컨텍스트의 기본 네임스페이스를 씁니다.

| 이렇게 말하면 | 영어로는 | 이렇게 호출합니다 |
|---|---|---|
""",
}
PAGES = {"en": "everyday-requests.md", "ko": "everyday-requests.ko.md"}


def requests() -> list[dict[str, Any]]:
    """The requests, in their order."""
    found: list[dict[str, Any]] = tomllib.loads((FOLDER / "everyday.toml").read_text(encoding="utf-8"))["request"]
    return found


def page(language: str) -> str:
    """The whole page in a language.

    Args:
        language: "en" or "ko".
    """
    return HEADS[language] + "\n".join(_rows(language)) + "\n"


def _rows(language: str) -> Iterator[str]:
    other = "ko" if language == "en" else "en"
    for request in requests():
        yield f"| {request[language]} | {request[other]} | `{call(request['tool'], request['arguments'])}` |"


def call(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call as a model would write it."""
    return (
        f"{tool}({', '.join(f'{name}={json.dumps(value, ensure_ascii=False)}' for name, value in arguments.items())})"
    )


if __name__ == "__main__":
    for language, name in PAGES.items():
        (FOLDER / name).write_text(page(language), encoding="utf-8")
