"""A secret in a text is hidden in every usual form, and nothing else is."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from pathlib import Path

import pytest

from raygen.core.secrets import (
    Secrets,
    environment_secrets,
    hide_secrets_in_logs,
    without_secret,
)
from tests.support.secret_forms import FORMS, shown_forms

KEY = 'sk-"planted"/key+that=nobody&may/read'


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "secret", [KEY, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "pä55-wörd/1%41&amp"]
)
def test_a_secret_is_hidden_in_every_form(name: str, secret: str) -> None:
    form = FORMS[name](secret)
    assert shown_forms(secret, f"x{form}x")
    hidden = Secrets([secret]).hide_in_answer(f"You sent <{form}>, 100 % & \\more.")
    assert hidden.startswith("You sent <")
    assert hidden.endswith(">, 100 % & \\more.")
    assert "***" in hidden
    assert shown_forms(secret, hidden) == []


@pytest.mark.parametrize("outer", [name for name in FORMS if "64" not in name and name != "hex"])
@pytest.mark.parametrize("inner", ["as JSON", "in a URL", "HTML", "all characters as \\u"])
def test_forms_of_forms_are_hidden(inner: str, outer: str) -> None:
    hidden = Secrets([KEY]).hide(FORMS[outer](FORMS[inner](KEY)))
    assert "planted" not in json.dumps(hidden)
    assert "***" in hidden


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    text = "So \\frac{1}{2} = 50\\% &amp; %41 \\u0041 c2stbm8=" * 20
    assert Secrets([KEY, "another-secret-of-mine"]).hide(text) == text


def test_what_stands_around_an_escaped_secret_stays() -> None:
    text = f"50\\% &lt;b&gt; {FORMS['in a URL'](KEY)} &lt; {KEY} \\u0041"
    assert Secrets([KEY]).hide(text) == "50\\% &lt;b&gt; *** &lt; *** \\u0041"


def test_a_long_text_with_an_escaped_secret_is_replaced_entirely() -> None:
    text = "x" * 2**20 + FORMS["in a URL"](KEY)
    assert Secrets([KEY]).hide(text) == "***"


def test_a_plain_word_stays_in_answers_and_not_in_messages() -> None:
    short = Secrets(["EMPTY"])
    assert short.hide_in_answer("An EMPTY fridge") == "An EMPTY fridge"
    assert short.hide("Bearer EMPTY") == "Bearer ***"
    assert Secrets([""]).hide("nothing") == "nothing"
    assert Secrets(["hunter2pw"]).hide_in_answer("It is hunter2pw.") == "It is ***."


def test_the_environment_names_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_of-the-hub-client\n")
    found = environment_secrets(
        {
            "HF_HOME": str(tmp_path),
            "MY_API_KEY": "sk-0123456789",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
            "AZURE_STORAGE_CONNECTION_STRING": "AccountName=me;AccountKey=YWNjb3VudA==;x=y",
            "https_proxy": "http://me:pa%3A55word@proxy:3128",
            "HTTPS_PROXY": "http://me:un/quoted@55word@proxy:3128",
            "PIP_INDEX_URL": "https://ghp-token-alone@host/simple",
            "OPENAI_API_KEY": "EMPTY",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token-file",
            "SSH_KEY": "/home/me/.ssh/id_rsa",
            "LANG": "en_US.UTF-8-long",
        }
    )
    assert set(found) == {
        "hf_of-the-hub-client",
        "sk-0123456789",
        "wJalrXUtnFEMI",
        "AccountName=me;AccountKey=YWNjb3VudA==;x=y",
        "YWNjb3VudA==",
        "me:pa%3A55word",
        "me:pa:55word",
        "pa%3A55word",
        "pa:55word",
        "ghp-token-alone",
        "me:un/quoted@55word",
        "un/quoted@55word",
    }


def test_logs_and_their_tracebacks_are_without_secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setattr("sys.excepthook", None)
    factory = logging.getLogRecordFactory()
    try:
        hide_secrets_in_logs()
        hide_secrets_in_logs()
        try:
            raise ValueError(KEY)
        except ValueError:
            logging.getLogger("any").exception("sent %s", b64encode(KEY.encode()).decode())
    finally:
        logging.setLogRecordFactory(factory)
    assert "sent ***" in caplog.text
    assert "ValueError: ***" in caplog.text
    assert shown_forms(KEY, caplog.text) == []


@pytest.mark.parametrize("unit", ["\\", "%25", "&amp;", "sk-", "\\u005c", "%"])
def test_no_text_takes_long(unit: str) -> None:
    secrets = Secrets([KEY, "sk-sk-sk-sk-sk-sk-x1"])
    assert len(secrets.hide(unit * 20_000)) >= 20_000


@pytest.mark.parametrize(
    "address",
    [
        "https://user:pa55word@host/rows.jsonl",
        "https://pa55word@host/rows.jsonl",
        "s3://AKIA:pa55word@bucket/rows.jsonl",
        "zip://rows.jsonl::https://user:pa55word@host/rows.zip",
        "https://host/rows.jsonl?api_key=pa55word",
        "https://host/rows.jsonl?x=1&X-Amz-Signature=pa55word",
        "https://account.blob/rows.jsonl?sv=2024&sig=pa55word",
        "https://host/rows.jsonl?access-token=pa55word",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ValueError, match="would be written beside the dataset") as raised:
        without_secret(address)
    assert "pa55word" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "rows/*.jsonl",
        "a?b[c]@d:e.jsonl",
        "hf://datasets/owner/name@rev?split=train&config=key",
        "abfs://container@account.dfs/rows.jsonl",
        "https://host/rows.jsonl?page=2&keyword=x",
        "s3://bucket/a@b:c/rows.jsonl",
    ],
)
def test_an_address_without_a_secret_stays(address: str) -> None:
    assert without_secret(address) == address
