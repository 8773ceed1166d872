"""Options and addresses of an LM that cannot be sent: one clear message, before anything is."""

import pytest

from dspex_core import LM, ConfigurationError, DSPexError

ITSELF: dict[str, object] = {}
ITSELF["inner"] = [ITSELF]


@pytest.mark.parametrize("value", [ITSELF, {1: 2, "a": 3}, 10**5000], ids=["itself", "keys", "big"])
def test_an_option_of_an_lm_that_has_no_json_text_is_refused(value):
    lm = LM("openai/m", api_key="k", base_url="http://127.0.0.1:9/v1", num_retries=0)
    with pytest.raises(ConfigurationError, match="JSON data"):
        lm("hi", user=value)


@pytest.mark.parametrize("value", [object(), len, {1, 2}, b"x"], ids=["object", "function", "set", "bytes"])
def test_an_option_that_only_has_a_repr_is_refused_before_it_is_sent(value):
    lm = LM("openai/m", api_key="k", base_url="http://127.0.0.1:9/v1", num_retries=0)
    with pytest.raises(ConfigurationError, match="must be JSON data"):
        lm("hi", user=value)


@pytest.mark.parametrize("url", [5, b"http://x", "http://127.0.0.1:9\n/v1", "http://127.0.0.1:9/v1\r\nX: y"], ids=repr)
def test_an_address_that_is_none_is_refused_before_any_call(url):
    with pytest.raises(DSPexError, match="address"):
        LM("openai/m", api_key="k", base_url=url, num_retries=0)("hi")
