"""What messages say: in two languages, by an operator's templates too, and never what a stranger slips in."""

from pathlib import Path

import pytest

from klepaas.notifications import Notification
from klepaas_plugins.notifications.slack import channel_for
from klepaas_plugins.notifications.texts import BUILT_IN
from klepaas_plugins.notifications.wording import Dialect, Wording

pytestmark = pytest.mark.anyio
POISON = "<!channel> @here <@U1> <https://evil.example|Log in> `x` ``` & *bold*"
OPENED = Notification("circuit_breaker_opened", "x keeps failing", facts={"upstream": "prometheus/<!here>"})


@pytest.mark.parametrize("kind", sorted(BUILT_IN["en"]))
@pytest.mark.parametrize("language", ["en", "ko"])
async def test_every_kind_has_its_words_in_both_languages(language: str, kind: str) -> None:
    said = await Wording(language, None).of(Notification(kind, "web", "why", {"upstream": "u"}), Dialect.PLAIN)
    assert said[0]
    assert "{" not in "".join(said)
    assert set(BUILT_IN["en"]) == set(BUILT_IN["ko"])


async def test_nothing_slipped_in_reaches_anybody_in_slack() -> None:
    poisoned = Notification("deployment_failed", POISON, f"```\n{POISON}")
    title, text = await Wording("en", None).of(poisoned, Dialect.SLACK)
    for part in (title, text):
        assert "<" not in part
        assert "@here" not in part
    assert "`" not in title
    assert text.count("```") == 2
    assert "&lt;https://evil.example|Log in&gt;" in title
    assert "<!here>" not in "".join(await Wording("ko", None).of(OPENED, Dialect.SLACK))
    without = "".join(await Wording("en", None).of(poisoned, Dialect.SLACK_WITHOUT_LINKS))
    assert "://" not in without


async def test_plain_text_stays_as_it_is_and_long_text_is_cut() -> None:
    title, text = await Wording("en", None).of(Notification("x", POISON, "y" * 100_000), Dialect.PLAIN)
    assert title == POISON
    assert len(text) < 3600


async def test_an_operators_template_is_used(tmp_path: Path) -> None:
    (tmp_path / "deployment_failed.ko.txt").write_text("<!subteam^S1> {{ title }}\n{{ facts.nothing.deep }}{{ id }}")
    (tmp_path / "deployment_succeeded.txt").write_text("Up: {{ title }}")
    wording = Wording("ko", tmp_path)
    failed = Notification("deployment_failed", "<web>", id="ntf-1")
    assert await wording.of(failed, Dialect.SLACK) == ("<!subteam^S1> &lt;web&gt;", "ntf-1")
    assert (await wording.of(Notification("deployment_succeeded", "web"), Dialect.PLAIN))[0] == "Up: web"
    assert list(wording.problems()) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ titel }}",
        "{{ title ",
        "{% for x in range(10**9) %}x{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ title.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{{ 1 / 0 }}",
        "  \n ",
        "x" * 20_000,
    ],
)
async def test_a_wrong_template_is_said_and_the_built_in_one_used(
    template: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deployment_succeeded.txt").write_text(template)
    wording = Wording("en", tmp_path)
    said = await wording.of(Notification("deployment_succeeded", "web"), Dialect.PLAIN)
    assert said == ("✅ Deployed: web", "")
    assert len(list(wording.problems())) == 1
    assert "the built-in one is" in caplog.text


async def test_a_template_without_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("{% for x in range(99999) %}line {{ x }}\n{% endfor %}")
    title, text = await Wording("en", tmp_path).of(Notification("test", "x"), Dialect.PLAIN)
    assert title == "line 0"
    assert len(text) < 3600


@pytest.mark.parametrize(
    ("kind", "code", "channel"),
    [
        ("deployment_failed", "rate_limited", "C0RATE"),
        ("deployment_failed", "timeout", "C0FAILED"),
        ("deployment_succeeded", "", "C0DEPLOY"),
        ("health_alert", "", "C0ERROR"),
        ("provider_tool_changed", "unauthorized", "C0AUTH"),
        ("provider_tool_changed", "", "C0DEFAULT"),
    ],
)
def test_the_channel_goes_by_error_then_kind_then_group(kind: str, code: str, channel: str) -> None:
    channels = {"default": "C0DEFAULT", "deployment": "C0DEPLOY", "deployment_failed": "C0FAILED", "error": "C0ERROR"}
    channels |= {"rate_limited": "C0RATE", "unauthorized": "C0AUTH"}
    assert channel_for(Notification(kind, "x", facts={"code": code}), channels) == channel
    assert channel_for(Notification("x", "x"), {"deployment": "C0DEPLOY"}) is None
