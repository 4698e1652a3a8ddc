"""An OpenAI-compatible server over the local engine.

    HTTP --app.py--> body (bodies.py) --completions.py--> Requests --worker.py, the engine's thread--> tokens
    client <--events or one object-- choices (choices.py, text.py) <---------------------------------------'

`run.py` starts it, and lets it finish what runs when it is told to stop. What each endpoint takes and answers is
OpenAI's reference, with vLLM's names for what OpenAI lacks (token ids in and out, special tokens, reasoning).
"""
