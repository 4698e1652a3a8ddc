"""What a body asks for, as requests to the engine and as choices that read what it makes."""

import pytest

from opencwm.infer.scheduler import Made
from opencwm.infer.server.bodies import ChatBody, CompletionBody
from opencwm.infer.server.completions import Served, plan_chat, plan_completion
from opencwm.infer.server.errors import Refusal
from opencwm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["<tool: bash> ls </tool> one two three"], 300)
EOT = TOKENIZER.special["eot_id"]
SERVED = Served(name="m", tokenizer=TOKENIZER, vocab_size=TOKENIZER.vocab_size, context=512)
ASK = {"role": "user", "content": "hi"}
BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Runs it.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}


def completion(**fields):
    return plan_completion(CompletionBody.model_validate({"model": "m", "prompt": [1, 2, 3], **fields}), SERVED)


def chat(*messages, **fields):
    body = {"model": "m", "messages": list(messages) or [ASK], **fields}
    return plan_chat(ChatBody.model_validate(body), SERVED)


def prompt(plan):
    return TOKENIZER.decode(list(plan.requests[0].prompt))


def answer(plan, text, *ends):
    tokens = [*TOKENIZER.encode(text), *ends]
    made = Made(key=0, tokens=tokens, logprobs=[-1.0] * len(tokens), top_logprobs=[[(t, -1.0)] for t in tokens])
    made.finish = "stop"
    plan.choices[0].push(made)
    return plan.choices[0].whole()


def test_each_choice_has_a_request_and_the_prompt_is_counted_once():
    plan = completion(n=3, seed=7, max_tokens=9999)
    assert [request.seed for request in plan.requests] == [7, 8, 9]
    assert {request.max_tokens for request in plan.requests} == {SERVED.context - 3}
    assert (plan.num_prompt, len(plan.choices)) == (3, 3)
    assert [request.max_tokens for request in chat(max_tokens=5, max_completion_tokens=7).requests] == [7]


def test_sampling_is_as_asked_for_and_what_is_nearly_greedy_is_greedy():
    assert [completion(temperature=value).requests[0].temperature for value in (None, 0.5, 1e-9)] == [1.0, 0.5, 0.0]
    assert [completion(top_p=value).requests[0].top_p for value in (None, 0.5)] == [1.0, 0.5]


def test_what_ends_an_answer():
    assert completion(stop_token_ids=[9]).requests[0].stop_ids > {9, EOT}
    assert completion(stop_token_ids=[9], ignore_eos=True).requests[0].stop_ids == {9}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "one "),
        ({"include_stop_str_in_output": True}, "one two"),
        ({"stop": None}, "one two three"),
        ({"stop": None, "include_stop_str_in_output": True, "skip_special_tokens": False}, "one two three<|eot_id|>"),
        ({"stop": None, "include_stop_str_in_output": True}, "one two three"),
    ],
)
def test_whether_what_ends_an_answer_is_a_part_of_it(fields, expected):
    assert answer(completion(**{"stop": "two", **fields}), "one two three", EOT)["text"] == expected


def test_log_probabilities_of_no_others():
    told = answer(completion(logprobs=0), "one", EOT)["logprobs"]
    assert (told["token_logprobs"][0], told["top_logprobs"]) == (-1.0, None)


def test_fields_that_change_nothing_are_taken():
    same = completion(seed=1, echo=False, best_of=1, presence_penalty=0, user="me", logit_bias={})
    assert same.requests == completion(seed=1).requests
    with pytest.raises(Refusal, match="best_of is not supported"):
        completion(best_of=2)


def test_a_developer_speaks_as_the_system():
    text = prompt(chat(ASK, {"role": "developer", "content": "obey"}))
    assert "<|start_header_id|>system<|end_header_id|>\n\nobey<|eot_id|>" in text


def test_thoughts_of_before_are_shown_unless_the_caller_says_otherwise():
    before = [ASK, {"role": "assistant", "content": "yes", "reasoning_content": "hmm"}, ASK]
    assert "hmm" in prompt(chat(*before))
    assert "hmm" not in prompt(chat(*before, chat_template_kwargs={"preserve_previous_think": False}))


def test_tools_are_offered_unless_none_may_be_called():
    assert "Runs it." in prompt(chat(tools=[BASH]))
    assert "Runs it." not in prompt(chat(tools=[BASH], tool_choice="none"))


@pytest.mark.parametrize(("parallel", "expected"), [(None, 2), (True, 2), (False, 1)])
def test_calls_come_one_at_a_time_where_that_is_asked_for(parallel, expected):
    plan = chat(tools=[BASH], parallel_tool_calls=parallel)
    text = "hm\n</think>\nBoth.\n<tool: bash>\nls\n</tool>\n<tool: bash>\nrm\n</tool>"
    assert len(answer(plan, text, EOT)["message"]["tool_calls"]) == expected
