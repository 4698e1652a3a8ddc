import json

from hypothesis import given
from hypothesis import strategies as st

from opencwm.chat import Reply, Tool
from opencwm.infer.scheduler import Made
from opencwm.infer.server.choices import ChatChoice, TextChoice, spelt
from opencwm.infer.text import TextStream
from opencwm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["<tool: bash> ls </tool> one two three"], 300)
EOT = TOKENIZER.special["eot_id"]
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
BASH = Tool(name="bash", parameters=SCHEMA)
TWO_CALLS = "hm</think>Both ✓\n<tool: bash>\nls\n</tool>\n<tool: bash>\nrm\n</tool>"


def chat(*, one_call: bool = False, stops: tuple[str, ...] = (), forced: Tool | None = None) -> ChatChoice:
    return ChatChoice(
        0,
        TOKENIZER,
        TextStream(TOKENIZER, hidden={EOT}, stops=stops),
        Reply([BASH], in_reasoning=forced is None, forced=forced),
        has_logprobs=True,
        has_ids=True,
        one_call=one_call,
    )


def text(*, stops: tuple[str, ...] = ()) -> TextChoice:
    stream = TextStream(TOKENIZER, hidden={EOT}, stops=stops)
    return TextChoice(0, TOKENIZER, stream, num_logprobs=1, has_ids=True)


def parts_of(tokens: list[int], cuts: list[int], finish: str) -> list[Made]:
    """The tokens as steps of an engine give them: each step gives one at least."""
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(tokens)], strict=True):
        made = tokens[start:end]
        parts.append(Made(key=0, tokens=made, logprobs=[-1.0] * len(made), top_logprobs=[[(t, -1.0)] for t in made]))
    parts[-1].finish = finish
    return parts


def whole(choice, parts):
    for part in parts:
        choice.push(part)
        if choice.is_done:
            break
    answer = choice.whole()
    for call in answer.get("message", {}).get("tool_calls", []):
        assert call.pop("id").startswith("call_")
    return answer, choice.num_tokens


@given(st.data(), st.sampled_from(["", "rm", "✓", "</tool>\n"]), st.booleans(), st.sampled_from(["stop", "length"]))
def test_a_whole_answer_does_not_depend_on_what_each_step_made(data, stop, one_call, finish):
    tokens = [*TOKENIZER.encode(TWO_CALLS), EOT]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(tokens) - 1), max_size=9)))
    stops = (stop,) if stop else ()
    for make in (lambda: chat(one_call=one_call, stops=stops), lambda: text(stops=stops)):
        at_once = whole(make(), parts_of(tokens, [], finish))
        assert whole(make(), parts_of(tokens, cuts, finish)) == at_once
        answer, num_tokens = at_once
        assert answer["token_ids"] == tokens[:num_tokens]


def test_calls_end_with_tool_calls():
    tokens = [*TOKENIZER.encode(TWO_CALLS), EOT]
    answer, num_tokens = whole(chat(), parts_of(tokens, [], "stop"))
    message = answer["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "Both ✓")
    assert [json.loads(call["function"]["arguments"])["command"] for call in message["tool_calls"]] == ["ls", "rm"]
    assert (answer["finish_reason"], num_tokens) == ("tool_calls", len(tokens))
    assert whole(chat(), parts_of(tokens, [], "length"))[0]["finish_reason"] == "length"


def test_streamed_calls_are_numbered():
    tokens, choice, found = [*TOKENIZER.encode(TWO_CALLS), EOT], chat(), []
    for part in parts_of(tokens, list(range(1, len(tokens))), "stop"):
        found += choice.push(part)["delta"].get("tool_calls", [])
    assert [call["index"] for call in found] == [0, 1]


def test_an_answer_of_one_call_ends_with_it():
    tokens = [*TOKENIZER.encode(TWO_CALLS), EOT]
    answer, num_tokens = whole(chat(one_call=True), parts_of(tokens, [], "length"))
    assert [call["function"]["name"] for call in answer["message"]["tool_calls"]] == ["bash"]
    assert answer["finish_reason"] == "tool_calls"
    assert TOKENIZER.decode(tokens[:num_tokens]).endswith("ls\n</tool>")


def test_a_call_that_the_prompt_has_opened():
    answer, _ = whole(chat(one_call=True, forced=BASH), parts_of(TOKENIZER.encode("ls -l\n</tool>"), [], "length"))
    assert json.loads(answer["message"]["tool_calls"][0]["function"]["arguments"]) == {"command": "ls -l"}
    assert (answer["message"]["content"], answer["finish_reason"]) == (None, "tool_calls")


def test_half_a_character_is_spelt_as_bytes():
    first = TOKENIZER.encode("🜁")[0]
    assert spelt(first, TOKENIZER).startswith("bytes:\\x")
    assert spelt(EOT, TOKENIZER) == "<|eot_id|>"
    assert spelt(10_000, TOKENIZER) == ""
