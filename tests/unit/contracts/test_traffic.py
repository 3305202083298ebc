"""What a tenant may say of its traffic, what the models read of it, and who is an agent."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.training.tenant_settings import _row
from tests.conftest import PROJECT_DIR


def tenant(**traffic: Any) -> TenantSettings:
    return TenantSettings.model_validate({"traffic": traffic})


def told(settings: TenantSettings) -> Any:
    text = _row("acme", settings)["traffic"]
    assert text is None or isinstance(text, str)
    return None if text is None else json.loads(text)


def test_who_says_nothing_is_who_has_no_settings() -> None:
    assert told(TenantSettings()) is None
    assert told(tenant(leave_out=[])) is None


def test_only_what_is_said_reaches_the_models() -> None:
    assert told(tenant(leave_out=["uniformity", "agent", "rate"])) == {
        "leave_out": ["agent", "rate", "uniformity"]
    }
    assert told(tenant(rate_per_hour=9, interval_variation=0)) == {
        "rate_per_hour": 9,
        "interval_variation": 0,
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"leave_out": ["bots"]}, "'rate', 'uniformity' or 'agent'", id="no flag"),
        pytest.param({"leave_out": "rate"}, "it is a list", id="no list"),
        pytest.param({"rate_per_hour": 0}, "greater than or equal to 1", id="rate"),
        pytest.param({"rate_per_hour": True}, "a boolean", id="rate of yes"),
        pytest.param({"interval_variation": 1.5}, "less than or equal to 1", id="variation"),
        pytest.param({"interval_variation": float("nan")}, "finite", id="no number"),
        pytest.param({"rate": 1}, "Extra inputs", id="unknown"),
    ],
)
def test_wrong_settings_are_refused_in_words(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        tenant(**given)
    (found,) = problems(refused.value, "settings")
    assert found.startswith("traffic.")
    assert problem in found


def expression() -> re.Pattern[str]:
    """The regular expression of the models, as Python reads it."""
    macro = Path(PROJECT_DIR, "macros/traffic/names_an_agent.sql").read_text()
    return re.compile("".join(re.findall(r"^ +'(.*)',?$", macro, re.MULTILINE)))


CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) {} Safari/537.36"


@pytest.mark.parametrize(
    "device",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp)",
        "Baiduspider-render/2.0",
        CHROME.format("HeadlessChrome/120.0.0.0"),
        "GPTBot/1.0",
        "anthropic-ai",
        "python-requests/2.32.3",
        "curl/8.5.0",
        "Scrapy/2.11 (https://scrapy.org)",
        "bot",
        "Crawler",
    ],
)
def test_who_says_to_be_a_program_is_an_agent(device: str) -> None:
    assert expression().search(device)


@pytest.mark.parametrize(
    "device",
    [
        CHROME.format("Chrome/120.0.0.0"),
        "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/109.0 Mobile",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) Mobile/15E148 Safari/604.1",
        "okhttp/4.12.0",
        "phone",
        "desktop",
        "Robotics",
        "java",
        "",
    ],
)
def test_a_persons_device_is_none(device: str) -> None:
    assert not expression().search(device)
